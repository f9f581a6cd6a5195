"""Results as they were made: a digest of each, compared before a step reads it.

Disks and people change files. HDF5 notices a changed array; a digit of a table, an attribute or a file
of another subject it does not. ``results/.sha256`` mirrors the folder of results with a line for each
file, as ``sha256sum`` writes it, so that in the working directory

    find results/.sha256 -type f -exec cat {} + | sha256sum --check --quiet --ignore-missing

names what is not as it was made, of what is there. A result that has no digest is taken as it is.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from pathlib import Path

from quietpet.errors import InputError, reading
from quietpet.files.atomic import require_writable
from quietpet.files.text import write_text
from quietpet.outputs.places import RESULTS
from quietpet.provenance import file_digest

FOLDER = f"{RESULTS}/.sha256"

_READ_BY_PEOPLE = ("*.*", "tables/*", "scores/**/*.csv", "phantoms/source.json")
"""Of the folder of results: tables, report and scores; and the source of the phantoms, for the rules."""


def require_as_made(paths: Iterable[Path]) -> None:
    """Refuse files of the working directory's results that are not what their steps wrote.

    Raises:
        InputError: names the first, and what makes it anew; a file or its digest cannot be read.
    """
    for path in paths:
        if not is_as_made(path):
            raise InputError(
                f"{path}: was changed or damaged since it was made (its SHA-256 is not that in "
                f"{_place(path)}). Put it back as it was, or move it away, and run the same command "
                "again."
            )


def is_as_made(path: Path) -> bool:
    """Whether a file is what its step wrote, as far as that is known.

    Raises:
        InputError: it or its digest cannot be read.
    """
    place = _place(path)
    if place is None or not path.is_file():
        return True
    with reading(place, "not readable as text"):
        try:
            kept = place.read_text(encoding="utf-8", errors="replace")
        except (FileNotFoundError, NotADirectoryError):
            return True
    return kept == _line(path)


def require_room_for_digests(paths: Iterable[Path]) -> None:
    """Before the work whose digests could not be kept after it.

    Raises:
        OutputError: names the digest.
    """
    for path in paths:
        if place := _place(path):
            require_writable(place)


def forget_digests(paths: Iterable[Path]) -> None:
    """Before files are made anew: what is interrupted then has no digest, and no wrong one."""
    for path in paths:
        if place := _place(path):
            place.unlink(missing_ok=True)


def keep_digests(paths: Iterable[Path]) -> None:
    """Of files that were made just now."""
    for path in paths:
        if (place := _place(path)) and path.is_file():
            write_text(place, _line(path))


def without_digest(paths: Iterable[Path]) -> list[Path]:
    """Results that have none: older ones, or those of a step that was killed."""
    return [path for path in paths if (place := _place(path)) and not place.exists()]


def read_by_people(folder: Path = Path(RESULTS)) -> Iterator[Path]:
    """Results whose change no step would find in a finished study, of which nothing is run again."""
    for pattern in _READ_BY_PEOPLE:
        yield from (path for path in sorted(folder.glob(pattern)) if path.is_file())


def _place(path: Path) -> Path | None:
    """Where the digest of ``path`` is kept; None outside the working directory's results."""
    below = os.path.relpath(path, RESULTS)
    return None if below.startswith("..") else Path(FOLDER, below)


def _line(path: Path) -> str:
    """As ``sha256sum`` writes it. A file that was moved with its digest has another name in it."""
    return f"{file_digest(path)}  {RESULTS}/{os.path.relpath(path, RESULTS)}\n"
