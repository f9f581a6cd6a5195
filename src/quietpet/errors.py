"""The one exception of this package that a user is meant to read."""

from __future__ import annotations


class InputError(ValueError):
    """Something a user supplied (a file, a key, a value) cannot be used.

    The message names the file or key, the value found and the remedy; the command line prints it
    without a traceback.
    """
