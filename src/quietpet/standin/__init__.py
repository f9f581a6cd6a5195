"""Simulated dynamic scans of digital heads, in place of in-vivo data."""
