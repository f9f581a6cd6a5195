from quietpet.api import (
    Images,
    InputError,
    Restored,
    Score,
    Sinograms,
    Study,
    read_study,
    reconstruct,
    restore,
    score,
    simulate,
)

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

__version__: str
