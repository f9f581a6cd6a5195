"""Verbs of the command line that are no steps: checks of engines and data sets, and what is done with results."""
