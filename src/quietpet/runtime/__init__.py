"""What jobs compute with: a processor, the measurements that some methods need, a method at work."""
