"""A folder of results as a whole: where each step's files lie, how two folders differ, what can go."""
