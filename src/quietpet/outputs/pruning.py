"""Which files of a folder of results nothing needs any more: arrays that steps make again if asked.

What a file was made of stands in its record. A file can go if the tables were made of it, directly or
not, and the report is there, so that all steps ran; if nothing is missing that would be made of it
again; and if everything that is there and was made of it is as it would be made now: of the same bytes,
by the same code. What was deleted before keeps its record, so that the chain stays whole.
"""

from __future__ import annotations

import functools
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from quietpet.files.contents import record_of
from quietpet.outputs.causes import Record
from quietpet.outputs.places import in_results, listed, places_of, rank
from quietpet.provenance import file_digest

MADE_AGAIN = (
    "phantom", "slices", "simulate", "thin", "reconstruct", "import_scan", "import_pair", "pack",
    "pack_scans", "restore", "realise",
)  # fmt: skip
"""Steps whose arrays may go. Weights, tables, scores, figures, records, logs and trees of BIDS stay."""

_ARRAYS = (".h5", ".nii.gz")
_TABLES = "tables.json"
_REPORT = "report.html"
"""The last file of a study: without it, steps may still have to run for the first time."""

_BIDS = "dataset_description.json"


@dataclass(frozen=True, kw_only=True)
class Removable:
    """A file that can go: ``seconds`` were spent on the job that made it, with all its files."""

    path: str
    file: Path
    step: str
    bytes: int
    seconds: float
    record: Record


@dataclass(frozen=True, kw_only=True)
class Kept:
    """A file that stays, of a step whose files may go, and why."""

    path: str
    step: str
    bytes: int
    reason: str


@dataclass(frozen=True, kw_only=True)
class Pruning:
    """What can go and what stays, in the order of the workflow."""

    removable: tuple[Removable, ...]
    kept: tuple[Kept, ...]


def pruning(
    root: Path,
    *,
    code_now: Callable[[Record], str | None],
    gone: Mapping[str, Record],
) -> Pruning:
    """Look at all files below ``root``, a folder of results.

    ``code_now`` gives the fingerprint of the code that a record's job would run now, None if its
    settings are none any more; ``gone`` are the records of files that were deleted before, by path.
    """
    results = _Results(root, code_now, gone)
    found = [results.judged(path) for path in results.candidates()]
    found.sort(key=lambda each: (rank(each.step), each.path))
    return Pruning(
        removable=tuple(each for each in found if isinstance(each, Removable)),
        kept=tuple(each for each in found if isinstance(each, Kept)),
    )


class _Results:
    """The files of a folder of results, their records, and who was made of whom."""

    def __init__(
        self, root: Path, code_now: Callable[[Record], str | None], gone: Mapping[str, Record]
    ) -> None:
        self._root, self._code_now = root.resolve(), code_now
        self._files = listed(root)
        self._gone = {path: record for path, record in gone.items() if path not in self._files}
        self._record = functools.cache(self._read)
        self._why_needed = functools.cache(self._find_why_needed)
        self._is_current = functools.cache(self._finds_current)
        self._made_by: dict[str, list[str]] = defaultdict(list)
        for path in (*self._files, *self._gone):
            self._made_by[self._told(path)].append(path)
        self._makers_from: dict[str, list[str]] = defaultdict(list)
        for told in self._made_by:
            for read in _inner(self._record(told) or {}):
                self._makers_from[read].append(told)
        self._lost: dict[str, list[str]] = defaultdict(list)
        for path in self._missing():
            self._lost[self._told(path)].append(path)
        self._in_tables = self._reached(path for path in self._made_by if "/" not in path)

    def _missing(self) -> Iterator[str]:
        """Files that are gone without a trace, of steps whose files stay: to be made anew, perhaps."""
        expected = {*self._makers_from, *self._made_by}
        for told in self._made_by:
            step = (self._record(told) or {}).get("stage")
            expected.update(
                each for place in places_of(told) if place.step == step for each in place.whole_of(told)
            )
        for path in sorted(expected - set(self._files) - set(self._gone)):
            if not {place.step for place in places_of(path)} & {*MADE_AGAIN}:
                yield path

    def candidates(self) -> Iterator[str]:
        """Arrays of steps that make them again, which lie in this folder and in no tree of BIDS."""
        for path, file in self._files.items():
            record = self._record(self._told(path))
            if (
                path.endswith(_ARRAYS)
                and record
                and record.get("stage") in MADE_AGAIN
                and record["stage"] in {place.step for place in places_of(path)}
                and not file.is_symlink()
                and file.resolve().is_relative_to(self._root)
                and not self._is_in_bids(file.resolve())
            ):
                yield path

    def judged(self, path: str) -> Removable | Kept:
        """Whether a candidate can go."""
        file, record = self._files[path], self._record(self._told(path)) or {}
        size = file.stat().st_size
        if reason := self._why_kept(path):
            return Kept(path=path, step=record["stage"], bytes=size, reason=reason)
        seconds = float(record.get("wall_s", 0.0))
        return Removable(
            path=path,
            file=file,
            step=record["stage"],
            bytes=size,
            seconds=seconds / len(self._made_by[self._told(path)]),
            record=record,
        )

    def _why_kept(self, path: str) -> str | None:
        if _TABLES not in self._files:
            return "the tables are not made yet"
        if _REPORT not in self._files:
            return "the report is not made yet"
        if untold := [
            path for told, lost in self._lost.items() if not self._record(told) for path in lost
        ]:
            return f"{untold[0]} is missing, and to make it again may take this"
        if not self._makers_from[path]:
            return "no file that is there was made of it"
        if path not in self._in_tables:
            return "the tables were not made of it"
        return self._why_needed(path)

    def _find_why_needed(self, path: str) -> str | None:
        """Why making the files that are not there, or not as they would be now, needs ``path``."""
        digest = file_digest(self._files[path]) if path in self._files else None
        for told in self._makers_from[path]:
            record = self._record(told) or {}
            if digest not in (None, _inner(record)[path]):
                return f"{told} was made of another file of this name"
            if lost := self._lost.get(told):
                return f"{lost[0]} is missing, and is made of it"
            if not self._is_current(told):
                return f"{told} was made by other code of `{record.get('stage')}`"
            for made in self._made_by[told]:
                if made not in self._files and (reason := self._why_needed(made)):
                    return reason
        return None

    def _finds_current(self, told: str) -> bool:
        record = self._record(told) or {}
        return "code" in record and record["code"] == self._code_now(record)

    def _told(self, path: str) -> str:
        """The file with the record of ``path``; of several places, that of the step it names."""
        tolds = [told for place in places_of(path) if (told := place.record_of(path))]
        return next((told for told in tolds if self._record(told)), tolds[0] if tolds else path)

    def _read(self, told: str) -> Record | None:
        if told in self._files:
            return record_of(self._files[told])
        return self._gone.get(told)

    def _reached(self, tables: Iterable[str]) -> set[str]:
        """All files of which ``tables`` were made, directly or not."""
        reached: set[str] = set()
        waiting = [*tables]
        while waiting:
            record = self._record(self._told(waiting.pop())) or {}
            new = set(_inner(record)) - reached
            reached |= new
            waiting += new
        return reached

    def _is_in_bids(self, file: Path) -> bool:
        within = [folder for folder in file.parents if folder.is_relative_to(self._root)]
        return any((folder / _BIDS).exists() for folder in within)


def _inner(record: Mapping[str, Any]) -> dict[str, str]:
    """Digests of the inputs that lie in the folder of results, by their paths there."""
    inputs = record.get("inputs") or {}
    return {inner: digest for path, digest in inputs.items() if (inner := in_results(path)) is not None}
