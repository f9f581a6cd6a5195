"""Packed data sets: pairs of standard and low dose, read as batches of networks."""
