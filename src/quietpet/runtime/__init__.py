"""What a job has to compute with: its processor, and the measurements that some methods need."""
