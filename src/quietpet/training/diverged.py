"""The error of a training that has failed for its settings."""

from __future__ import annotations

from quietpet.errors import InputError


class Diverged(InputError):
    """A loss, or with a scaled loss the gradients, stopped being finite."""
