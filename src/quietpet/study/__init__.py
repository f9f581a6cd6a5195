"""A whole configuration: reading, checks across sections, and the jobs that it means."""
