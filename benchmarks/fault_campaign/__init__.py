"""What `benchmarks/faults.py` plans, does and judges."""
