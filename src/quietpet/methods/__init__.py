"""Restorers: one folder for each kind of method, beside what they share."""
