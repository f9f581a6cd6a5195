"""The report: sections of all steps, and of how they were made, on one page that needs nothing else."""
