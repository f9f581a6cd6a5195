"""``quietpet diff``: which results of two studies differ first, and why?"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from quietpet.errors import InputError, why
from quietpet.files.text import write_json
from quietpet.outputs.comparison import Side, compare
from quietpet.outputs.places import RESULTS, in_results, listed, places_of
from quietpet.outputs.told import as_json, as_lines
from quietpet.progress import track


def diff(one: Path, other: Path, *, tolerance: float, values_alone: bool, json: Path | None) -> int:
    """Print how two folders of results, or two files, differ; the status is that of diff(1).

    Raises:
        InputError: one of them is not there, or one is a folder and one a file.
    """
    for path in (one, other):
        _require_there(path)
    if one.is_dir() != other.is_dir():
        folder, file = (one, other) if one.is_dir() else (other, one)
        raise InputError(f"{folder} is a folder and {file} a file; name two of a kind.")
    sides = _folders(one, other) if one.is_dir() else _files(one, other)

    def each(paths: list[str]) -> Iterable[str]:
        return track(paths, label="files", total=len(paths), unit="files")

    comparison = compare(*sides, tolerance=tolerance, values_alone=values_alone, each=each)
    for line in as_lines(comparison):
        print(line)
    if json:
        write_json(json, as_json(comparison))
    return comparison.status


def _require_there(path: Path) -> None:
    try:
        path.stat()
    except OSError as error:
        raise InputError(
            f"{path}: cannot be compared ({why(error)}). Name two folders of results, or two files."
        ) from None


def _folders(one: Path, other: Path) -> tuple[Side, Side]:
    """Two folders of results, or the two in which they lie; parts of them keep their place."""
    if all((folder / RESULTS).is_dir() for folder in (one, other)):
        one, other = one / RESULTS, other / RESULTS
    left, right = (_side(folder) for folder in (one, other))
    return left, right


def _side(folder: Path) -> Side:
    try:
        files = listed(folder)
    except OSError as error:
        raise InputError(f"{error.filename}: cannot be listed ({why(error)}).") from None
    if not files:
        raise InputError(f"{folder}: holds no files; name a folder of results.")
    prefix = (in_results(f"{folder.resolve()}/_") or "").removesuffix("_")
    if not any(places_of(f"{prefix}{path}") for path in files):  # a copy of results within others
        prefix = ""
    files = {f"{prefix}{path}": place for path, place in files.items()}
    return Side(name=str(folder), files=files, root=_root(folder.resolve(), prefix))


def _files(one: Path, other: Path) -> tuple[Side, Side]:
    """Two files, as one of the same place; the records beside them are looked at, and not compared."""
    within = [in_results(str(file.resolve())) for file in (one, other)]
    places = [
        place if place and places_of(place) else file.name
        for place, file in zip(within, (one, other), strict=True)
    ]
    left, right = (
        Side(
            name=str(file),
            files={places[0]: file},
            root=_root(file.resolve(), place),
            own={places[0]: place},
        )
        for file, place in zip((one, other), places, strict=True)
    )
    return left, right


def _root(path: Path, within: str) -> Path:
    """The folder in which ``path`` is called ``within``."""
    return path.parents[within.rstrip("/").count("/")] if within else path
