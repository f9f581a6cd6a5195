"""Two folders of results compared by content: what differs first in the workflow, and why."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from itertools import zip_longest
from pathlib import Path

from quietpet.errors import InputError, why
from quietpet.files.contents import content_of, record_of
from quietpet.outputs.causes import Cause, Record, causes, inner_inputs
from quietpet.outputs.differences import Difference, differences
from quietpet.outputs.places import Place, places_of, rank

_CHUNK_BYTES = 2**20


@dataclass(frozen=True, kw_only=True)
class Side:
    """One of the two, and what messages call it: its files by the paths under which they are compared.

    Those are the paths in the folder of results ``root``, but for a file that is compared with one of
    another name; ``own`` has the path of that. Records beside them are looked for in ``root``.
    """

    name: str
    files: Mapping[str, Path]
    root: Path | None = None
    own: Mapping[str, str] = field(default_factory=dict)

    def file(self, path: str) -> Path | None:
        """The file at ``path`` in the folder of results, compared or not."""
        if not self.own and path in self.files:
            return self.files[path]
        place = self.root / path if self.root else None
        return place if place and place.is_file() else None


@dataclass(frozen=True, kw_only=True)
class FileComparison:
    """A file that is not the same on both sides.

    Its ``kind`` is `content` where what it holds differs, `origin` where only the record of how it was
    made does, `missing` where one side has none, `damaged` where one cannot be read, `unread` where the
    system does not give it. ``follows`` are those of its inputs whose content differs.
    """

    path: str
    step: str
    kind: str
    differences: tuple[Difference | str, ...] = ()
    causes: tuple[Cause, ...] = ()
    follows: tuple[str, ...] = ()
    has_record: bool = True

    @property
    def begins(self) -> bool:
        """Whether the difference begins here: no input differs, or the records differ as well."""
        return not self.follows or any(cause.certain for cause in self.causes)


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """All files that differ, in the order of the workflow; ``equal`` ones are counted."""

    sides: tuple[Side, Side]
    equal: int
    files: tuple[FileComparison, ...] = field(default=())

    @property
    def status(self) -> int:
        """As that of diff(1): 0 the same, 1 different, 2 something could not be read."""
        if any(file.kind == "unread" for file in self.files):
            return 2
        return 1 if self.files else 0

    @property
    def first(self) -> tuple[FileComparison, ...]:
        """The files of the first step at which a difference begins.

        Contents that differ count before records that do.
        """
        deep = [file for file in self.files if file.kind != "origin"] or self.files
        begun = [file for file in deep if file.begins] or deep
        return tuple(file for file in begun if file.step == begun[0].step)


def compare(
    one: Side,
    other: Side,
    *,
    tolerance: float = 0.0,
    values_alone: bool = False,
    each: Callable[[list[str]], Iterable[str]] = list,
) -> Comparison:
    """Compare all files of two sides.

    With ``values_alone``, records of how files were made do not count. ``each`` sees the paths go by.
    """
    pair = _Pair(one, other, tolerance)
    paths = sorted({*one.files, *other.files})
    found = [file for path in each(paths) if (file := pair.compared(path))]
    found.sort(key=lambda file: (rank(file.step), file.path))
    if values_alone:
        found = [file for file in found if file.kind != "origin"]
    changed = {file.path for file in found if file.kind != "origin"}
    return Comparison(
        sides=(one, other),
        equal=len(paths) - len(found),
        files=tuple(pair.explained(file, changed) for file in found),
    )


@dataclass(frozen=True, kw_only=True)
class _Origin:
    """What is known of how one file was made; ``is_own`` if it says it itself."""

    place: Place | None = None
    record: Record | None = None
    is_own: bool = False


class _Pair:
    """Two sides, whose records are read once."""

    def __init__(self, one: Side, other: Side, tolerance: float) -> None:
        self._sides = (one, other)
        self._tolerance = tolerance
        self._origins = functools.cache(self._find_origins)
        self._record = functools.cache(_record_at)

    def _step(self, path: str) -> str:
        """The step that makes a file, by its record or else by its place."""
        origins = [origin for origin in self._origins(path) if origin]
        recorded = [each.record["stage"] for each in origins if each.record and "stage" in each.record]
        placed = [each.place.step for each in origins if each.place]
        return str(next(iter((*recorded, *placed)), "unknown"))

    def _find_origins(self, path: str) -> tuple[_Origin, _Origin]:
        one, other = (self._origin(side, path) for side in self._sides)
        return one, other

    def _origin(self, side: Side, path: str) -> _Origin:
        """Of several places that fit, that of the step which the record there names."""
        if path not in side.files:
            return _Origin(place=next(iter(places_of(path)), None))
        own = side.own.get(path, path)
        found = [self._at(side, place, path, own) for place in places_of(own)]
        agreeing = (
            each
            for each in found
            if each.place and each.record and each.record.get("stage") == each.place.step
        )
        return next(agreeing, next(iter(found), self._at(side, None, path, own)))

    def _at(self, side: Side, place: Place | None, path: str, own: str) -> _Origin:
        told = place.record_of(own) if place else own
        if told is None:
            return _Origin(place=place)
        file = side.files[path] if told == own else side.file(told)
        return _Origin(place=place, record=self._record(file) if file else None, is_own=told == own)

    def compared(self, path: str) -> FileComparison | None:
        """How the two files differ, if they do, with the causes that their own records show."""
        one, other = (side.files.get(path) for side in self._sides)
        if one is None or other is None:
            lacking, having = self._sides if one is None else self._sides[::-1]
            told = f"is in {having.name} and not in {lacking.name}"
            return self._file(path, "missing", told)
        try:
            if _same_bytes(one, other):
                return None
        except OSError as error:
            told = f"cannot be read ({why(error)})"
            return self._file(path, "unread", told)
        return self._compared(path, one, other)

    def _file(self, path: str, kind: str, *found: Difference | str) -> FileComparison:
        return FileComparison(path=path, step=self._step(path), kind=kind, differences=found)

    def _compared(self, path: str, one: Path, other: Path) -> FileComparison | None:
        if faults := [fault for file in (one, other) if (fault := _fault(file))]:
            return self._file(path, "damaged", *faults)
        try:
            with content_of(one) as a, content_of(other) as b:
                found = differences(a, b, step=self._step(path), tolerance=self._tolerance)
        except InputError as error:  # damaged where only reading all of it shows it
            return self._file(path, "damaged", str(error))
        if found:
            return self._file(path, "content", *found)
        own = all(origin.is_own for origin in self._origins(path))
        differ = own and any(cause.certain for cause in self._causes(path))
        return self._file(path, "origin") if differ else None

    def _causes(self, path: str) -> list[Cause]:
        one, other = (origin.record for origin in self._origins(path))
        if one is None or other is None:
            return []
        return causes(one, other, compared=lambda inner: all(inner in s.files for s in self._sides))

    def explained(self, file: FileComparison, changed: set[str]) -> FileComparison:
        """``file`` with what its records say, and which of its inputs are among those ``changed``."""
        origins = self._origins(file.path)
        records = [origin.record for origin in origins if origin.record]
        read = {path for record in records for path in inner_inputs(record)}
        for place in (origin.place for origin in origins):
            if place and place.reads:
                read |= {path for path in changed if path.startswith(place.reads)}
        return FileComparison(
            path=file.path,
            step=file.step,
            kind=file.kind,
            differences=file.differences,
            causes=tuple(self._causes(file.path)),
            follows=tuple(sorted(read & changed - {file.path})),
            has_record=len(records) == 2,
        )


def _record_at(file: Path) -> Record | None:
    return record_of(file)


def _fault(path: Path) -> str | None:
    """Why ``path`` cannot be read as what its name says; its header alone is looked at."""
    try:
        with content_of(path):
            return None
    except InputError as error:
        return str(error)


def _same_bytes(one: Path, other: Path) -> bool:
    if one.stat().st_size != other.stat().st_size:
        return False
    with one.open("rb") as a, other.open("rb") as b:
        parts = (iter(functools.partial(file.read, _CHUNK_BYTES), b"") for file in (a, b))
        return all(left == right for left, right in zip_longest(*parts))
