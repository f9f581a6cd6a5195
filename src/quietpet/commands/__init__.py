"""Verbs of the command line that are no steps: checks of engines, and the audit of a data set."""
