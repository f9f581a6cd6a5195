"""Regression U-Nets, with and without T1: the published ablations."""
