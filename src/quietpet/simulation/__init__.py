"""Scans of phantom slices as jobs ask for them: measured at a dose, or thinned from the standard one."""
