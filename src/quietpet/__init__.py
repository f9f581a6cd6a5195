"""Low-dose PET/MR restoration, from phantoms and in-vivo scans to reviewer-proof tables."""

from __future__ import annotations

import importlib

__version__ = "0.1.0"

__all__ = [
    "Images",
    "InputError",
    "Restored",
    "Score",
    "Sinograms",
    "Study",
    "read_study",
    "reconstruct",
    "restore",
    "score",
    "simulate",
]


def __getattr__(name: str) -> object:
    """The public functions and records, whose modules are imported when one is first asked for.

    Every step and every rule imports the package, and few need torch.
    """
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module("quietpet.api"), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
