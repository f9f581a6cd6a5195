"""What a user is told of values and files that cannot be used."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_OWN_FOLDERS = ("results", "resources")
"""Folders of the working directory that the program fills; what lies in them can be made again."""

CHECKPOINT = ".checkpoint-"
"""Part of the hidden name of a checkpoint."""

FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
"""The disk, its quota or the largest file is used up."""

_REMEDIES = {
    **dict.fromkeys(FULL, "Make room there, or name a place on a larger disk."),
    **dict.fromkeys(
        (errno.EACCES, errno.EPERM), "Ask its owner for access, or name another one that is yours."
    ),
    errno.EROFS: "Name a place that can be written to.",
    errno.EISDIR: "Name a file.",
    errno.ENOTDIR: "Name a file in a folder.",
    errno.EEXIST: "Name a file in a folder.",
    errno.EMFILE: "Raise the limit of open files (`ulimit -n`).",
}


class InputError(ValueError):
    """Something a user supplied (a file, a key, a value) cannot be used.

    The message names the file or key, the value found and the remedy; the command line prints it
    without a traceback.
    """


class OutputError(InputError, OSError):
    """A file cannot be written."""


@contextmanager
def reading(path: Path, fault: str, *damage: type[Exception]) -> Iterator[None]:
    """Turn what goes wrong while ``path`` is read into one sentence that names it.

    A file that cannot be opened is told apart from one whose content has a ``fault`` ("damaged or not an
    HDF5 file"): errors of the classes ``damage``, :class:`ValueError`, and the :class:`OSError` without
    a number that libraries raise.
    """
    faults: tuple[type[Exception], ...] = (OSError, ValueError, *damage)
    try:
        yield
    except InputError:
        raise
    except FileNotFoundError:
        raise InputError(f"{path}: no such file; run the step that makes it first.") from None
    except faults as error:
        if isinstance(error, OSError) and error.errno is not None:
            raise InputError(f"{path}: cannot be read ({why(error)}){remedy(error)}") from None
        raise InputError(f"{path}: {fault} ({error}). {replacing(path)}") from None


def why(error: OSError) -> str:
    """The reason in the words of the operating system."""
    return os.strerror(error.errno) if error.errno else str(error)


def remedy(error: OSError) -> str:
    """The end of a sentence about ``error``: what to do, where that is known."""
    advice = _REMEDIES.get(error.errno or 0)
    return f". {advice}" if advice else "."


def replacing(path: Path | str, *, again: str = "run the step again") -> str:
    """What to do about a file whose content is of no use: only what the program made may be deleted."""
    if made_here(path):
        return f"Delete it and {again}."
    return "Put a whole one in its place."


def made_here(path: Path | str) -> bool:
    """Whether ``path`` lies in a folder that the program fills, or is a checkpoint of a training."""
    place = Path(path)
    if place.name.startswith(".") and CHECKPOINT in place.name:
        return True
    return any(
        Path(os.path.realpath(place)).is_relative_to(os.path.realpath(folder)) for folder in _OWN_FOLDERS
    )
