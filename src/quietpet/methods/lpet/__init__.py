"""The low-dose image itself, the row that every table begins with."""
