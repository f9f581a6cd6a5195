"""Which results stay once nothing waits for them: a matter of room, and so no part of a study."""

from __future__ import annotations

import os

from quietpet.errors import InputError

KEEP_VARIABLE = "QUIETPET_KEEP"
_ALL, _NEEDED = "all", "needed"


def keeps_all() -> bool:
    """Whether sinograms and their images stay; else each goes when all that read it have ended.

    Raises:
        InputError: the variable says neither.
    """
    asked = os.environ.get(KEEP_VARIABLE) or _ALL
    if asked not in (_ALL, _NEEDED):
        raise InputError(
            f"{KEEP_VARIABLE}={asked}: say {_ALL} (the default), or {_NEEDED} to delete sinograms and "
            "images as soon as nothing waits for them."
        )
    return asked == _ALL
