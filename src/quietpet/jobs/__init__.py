"""What one run of each step must know: plain records, which the command line takes as JSON."""
