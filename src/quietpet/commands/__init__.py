"""Verbs of the command line that are no steps: checks of engines, data sets and results, and plans."""
