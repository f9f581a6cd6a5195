"""What of the code and tables of this package can change the result of a step."""
