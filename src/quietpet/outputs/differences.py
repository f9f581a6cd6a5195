"""How the contents of two files differ: which part, at how many places, by how much.

Times, speeds, memory and folders may differ between equal results; they are left out.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from quietpet.files.contents import Array, Content

_MEASURED_VALUES = {
    "fetch": r"reason|volumes\..*",
    "fetch_invivo": r"root",
    "register": r"seconds",
    "plan": r".*seconds_per_sample",
    "sampling": r".*seconds_per_sample",
}
"""Keys of JSON that tell of time or of folders, by step."""

_MEASURED_COLUMNS = {
    "fit": {"iterations_per_s", "slices_per_s", "waiting", "memory_mib", "gpu_percent"},
    "sampling": {"seconds_per_sample"},
}
"""Columns of CSV that do, by step."""

_MEASURED_HEADINGS = {"Seconds per sample"}
"""Columns of tables for readers that do."""

_SPEED = re.compile(r"[-+.\de]+ iterations/s, [-+.\de]+ slices/s")
_MADE_WITH = "## Made with"
_MAKING = ">How it was made<"
_FOLDERS = re.compile(r"(?<![\w.~/<])(?:~|\.{1,2})?/(?:[^\s/,;:'\"]+/)*")
"""Of a path that begins at the root, at home or at a folder above: all but its last part."""

_DATE = re.compile(r"<dc:date>.*?</dc:date>")
_SHOWN = 60


@dataclass(frozen=True, kw_only=True)
class Difference:
    """One part of a file that differs: an array, a key, a column, the lines.

    ``count`` of ``total`` values differ; ``largest`` is the largest difference of numbers, ``relative``
    the largest of each difference relative to the larger of its two values.
    """

    part: str
    how: str
    count: int | None = None
    total: int | None = None
    largest: float | None = None
    relative: float | None = None

    def __str__(self) -> str:
        return f"{self.part} {self.how}"


def differences(one: Content, other: Content, *, step: str, tolerance: float) -> list[Difference]:
    """What differs in two files of the same ``step``.

    Two numbers differ that are further apart than ``tolerance`` times the larger of their magnitudes;
    where that is 0, their bytes or digits must be the same.
    """
    if (kind := _kind(one)) != (another := _kind(other)):
        return [Difference(part="the file", how=f"is {kind} against {another}")]
    return [
        *_of_arrays(one.arrays, other.arrays, tolerance),
        *_of_values(_kept_values(one, step), _kept_values(other, step), tolerance),
        *_of_tables(_kept_columns(one, step), _kept_columns(other, step), tolerance),
        *_of_lines(_kept_lines(one, step), _kept_lines(other, step)),
    ]


def _kind(content: Content) -> str:
    if content.rows is not None:
        return "a table"
    return "values" if content.lines is None else "a text"


def without_folders(value: Any) -> Any:
    """A text whose paths are cut to their last part, anything else as it is."""
    return _FOLDERS.sub("", value) if isinstance(value, str) else value


def shown(value: Any) -> str:
    """A value in a sentence: numbers as short as they are exact, long texts cut."""
    if isinstance(value, float):
        short = f"{value:g}"
        return short if float(short) == value else repr(value)
    text = value if isinstance(value, str) else repr(value)
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}..."


def apart(one: np.ndarray, other: np.ndarray, tolerance: float) -> np.ndarray:
    """Where two arrays of one shape differ."""
    if tolerance == 0 or one.dtype.kind not in "fiub" or other.dtype.kind not in "fiub":
        return _bytes_apart(one, other)
    a, b = one.astype(np.float64), other.astype(np.float64)
    both_nan = np.isnan(a) & np.isnan(b)
    with np.errstate(invalid="ignore"):
        near = (a == b) | (np.abs(a - b) <= tolerance * np.maximum(np.abs(a), np.abs(b)))
    return ~(near | both_nan)


def _bytes_apart(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    if one.dtype != other.dtype or one.dtype.kind == "O":
        return np.asarray(one != other)
    width = one.dtype.itemsize
    a, b = (np.ascontiguousarray(each).reshape(-1).view(np.uint8) for each in (one, other))
    return (a.reshape(-1, width) != b.reshape(-1, width)).any(axis=1).reshape(one.shape)


@dataclass(frozen=True)
class _Tally:
    """How many values differ so far, and by how much."""

    count: int = 0
    total: int = 0
    largest: float | None = None
    relative: float | None = None

    def with_block(self, one: np.ndarray, other: np.ndarray, tolerance: float) -> _Tally:
        wrong = apart(one, other, tolerance)
        tally = replace(self, count=self.count + int(wrong.sum()), total=self.total + one.size)
        if not wrong.any() or one.dtype.kind not in "fiub":
            return tally
        a, b = one[wrong].astype(np.float64), other[wrong].astype(np.float64)
        with np.errstate(invalid="ignore", divide="ignore"):
            gap = np.abs(a - b)
            ratio = gap / np.maximum(np.abs(a), np.abs(b))
        ratio[gap == 0] = 0
        # Of NaN beside a number, the difference is infinite.
        gap[np.isnan(gap)], ratio[np.isnan(ratio)] = math.inf, math.inf
        return replace(
            tally,
            largest=max(self.largest or 0.0, float(gap.max())),
            relative=max(self.relative or 0.0, float(ratio.max())),
        )

    def difference(self, part: str, of: str) -> Difference:
        how = f"at {self.count} of {self.total} {of}"
        if self.largest is not None:
            how += f", largest difference {self.largest:.3g} (relative {self.relative:.2g})"
        return Difference(
            part=part,
            how=how,
            count=self.count,
            total=self.total,
            largest=self.largest,
            relative=self.relative,
        )


def _of_arrays(
    one: Mapping[str, Array], other: Mapping[str, Array], tolerance: float
) -> Iterator[Difference]:
    for name in dict.fromkeys((*one, *other)):
        part = f"`{name}`"
        if name not in one or name not in other:
            yield Difference(part=part, how=f"is in the {_only(name in one)} alone")
            continue
        a, b = one[name], other[name]
        if a.shape != b.shape:
            yield Difference(part=part, how=f"has the shape {a.shape} against {b.shape}")
        elif a.dtype != b.dtype:
            yield Difference(part=part, how=f"is {a.dtype} against {b.dtype}")
        else:
            tally = _Tally()
            for left, right in zip(a.blocks(), b.blocks(), strict=True):
                tally = tally.with_block(left, right, tolerance)
            if tally.count:
                yield tally.difference(part, "values")


def _only(in_first: bool) -> str:
    return "first" if in_first else "second"


def _of_values(
    one: Mapping[str, Any], other: Mapping[str, Any], tolerance: float
) -> Iterator[Difference]:
    for key in dict.fromkeys((*one, *other)):
        part = f"`{key}`"
        if key not in one or key not in other:
            value = shown(one.get(key, other.get(key)))
            yield Difference(part=part, how=f"({value}) is in the {_only(key in one)} alone")
        elif (gap := _gap(one[key], other[key], tolerance)) is not None:
            yield Difference(part=part, how=f"is {shown(one[key])} against {shown(other[key])}", **gap)


def _gap(one: Any, other: Any, tolerance: float) -> dict[str, Any] | None:
    """Nothing of two equal values; of two numbers that differ, by how much."""
    if type(one) is type(other) and (one == other or (one != one and other != other)):  # noqa: PLR0124
        return None
    numbers = all(isinstance(each, int | float) and not isinstance(each, bool) for each in (one, other))
    if not numbers:
        return {} if one != other or type(one) is not type(other) else None
    tally = _Tally().with_block(np.array([float(one)]), np.array([float(other)]), tolerance)
    return {"largest": tally.largest, "relative": tally.relative} if tally.count else None


def _of_tables(
    one: list[list[str]] | None, other: list[list[str]] | None, tolerance: float
) -> Iterator[Difference]:
    if one is None or other is None:
        return
    if bool(one) != bool(other):
        yield Difference(part="the header", how=f"is in the {_only(bool(one))} alone")
    header, second = (rows[0] if rows else [] for rows in (one, other))
    for name in dict.fromkeys((*header, *second)):
        if name not in header or name not in second:
            yield Difference(part=f"column `{name}`", how=f"is in the {_only(name in header)} alone")
    if len(one) != len(other):
        yield Difference(part="the table", how=f"has {len(one) - 1} rows against {len(other) - 1}")
    yield from _of_lengths(one, other)
    places, others = (_places(names) for names in (header, second))
    common = [place for place in places if place in others]
    if [place for place in others if place in places] != common:
        yield Difference(part="the table", how="has its columns in another order")
    for (name, which), column in places.items():
        if (name, which) in others:
            left, right = _cells(one, column), _cells(other, others[name, which])
            yield from _of_column(name, left, right, tolerance)
        elif name in second:
            yield Difference(part=f"column `{name}`", how="stands more often in the first")
    for name, _ in [place for place in others if place not in places and place[0] in header]:
        yield Difference(part=f"column `{name}`", how="stands more often in the second")


def _places(header: Sequence[str]) -> dict[tuple[str, int], int]:
    """Number of each column by its name and by how many columns of this name come before it."""
    return {(name, header[:column].count(name)): column for column, name in enumerate(header)}


def _of_lengths(one: list[list[str]], other: list[list[str]]) -> Iterator[Difference]:
    """Rows that lack cells or have more than the header: of both tables, how many they lack."""
    pairs = [
        (line, len(a) - len(one[0]), len(b) - len(other[0]))
        for line, (a, b) in enumerate(zip(one, other, strict=False), 1)
    ]
    for line, more, others in pairs:
        if more != others:
            how = f"has {more:+d} cells beside its header against {others:+d}, in line {line}"
            yield Difference(part="the table", how=how)
            return
    beyond = [
        (line, one[line - 1][len(one[0]) :], other[line - 1][len(other[0]) :]) for line, *_ in pairs
    ]
    for line, left, right in beyond:
        if left != right:
            how = f"has beyond its header {shown(left)} against {shown(right)}, in line {line}"
            yield Difference(part="the table", how=how)
            return


def _cells(rows: list[list[str]], column: int) -> list[str]:
    return [row[column] if column < len(row) else "" for row in rows[1:]]


def _of_column(
    name: str, one: Sequence[str], other: Sequence[str], tolerance: float
) -> Iterator[Difference]:
    """Cells of the rows that both tables have."""
    pairs = [(number, a, b) for number, (a, b) in enumerate(zip(one, other, strict=False), 2) if a != b]
    pairs = [each for each in pairs if _cells_apart(each[1], each[2], tolerance)]
    if not pairs:
        return
    tally = _Tally(count=len(pairs), total=min(len(one), len(other)))
    numbers = [(_number(a), _number(b)) for _, a, b in pairs]
    if all(a is not None and b is not None for a, b in numbers):
        left, right = np.array(numbers, dtype=float).T
        most = _Tally().with_block(left, right, 0)
        tally = replace(tally, largest=most.largest, relative=most.relative)
    found = tally.difference(f"column `{name}`", "rows")
    line, a, b = pairs[0]
    first = f"; first in line {line}: {shown(a) or 'nothing'} against {shown(b) or 'nothing'}"
    yield replace(found, how=found.how + first)


def _cells_apart(one: str, other: str, tolerance: float) -> bool:
    a, b = _number(one), _number(other)
    if not tolerance or a is None or b is None:
        return one != other
    return bool(apart(np.array([a]), np.array([b]), tolerance)[0])


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None


def _of_lines(one: list[str] | None, other: list[str] | None) -> Iterator[Difference]:
    if one is None or other is None or one == other:
        return
    pairs = [number for number, (a, b) in enumerate(zip(one, other, strict=False), 1) if a != b]
    if not pairs:
        yield Difference(part="the text", how=f"has {len(one)} lines against {len(other)}")
        return
    first = pairs[0]
    left, right = _where_they_part(one[first - 1], other[first - 1])
    yield Difference(
        part="the text",
        how=f"from line {first} on: {shown(left)} against {shown(right)}",
        count=len(pairs),
        total=max(len(one), len(other)),
    )


def _where_they_part(one: str, other: str) -> tuple[str, str]:
    """Two texts without most of what they begin with alike."""
    pairs = enumerate(zip(one, other, strict=False))
    alike = next((place for place, (a, b) in pairs if a != b), min(len(one), len(other)))
    if alike <= _SHOWN // 2:
        return one, other
    begin = alike - _SHOWN // 3
    return f"...{one[begin:]}", f"...{other[begin:]}"


def _kept_values(content: Content, step: str) -> dict[str, Any]:
    measured = _MEASURED_VALUES.get(step, "(?!)")
    return {
        key: without_folders(value)
        for key, value in content.values.items()
        if not re.fullmatch(measured, key)
    }


def _kept_columns(content: Content, step: str) -> list[list[str]] | None:
    if not content.rows:
        return content.rows
    measured = _MEASURED_COLUMNS.get(step, set())
    kept = [number for number, name in enumerate(content.rows[0]) if name not in measured]
    width = len(content.rows[0])
    return [
        [row[number] for number in (*kept, *range(width, len(row))) if number < len(row)]
        for row in content.rows
    ]


def _kept_lines(content: Content, step: str) -> list[str] | None:
    if content.lines is None:
        return None
    lines = content.lines
    if step == "fit" and _MADE_WITH in lines:  # the record of a model card
        lines = lines[: lines.index(_MADE_WITH)]
    if step == "report":
        lines = list(_without_making(lines))
        lines = list(_without_cells(lines))
    lines = [_DATE.sub("", _SPEED.sub("", without_folders(line))) for line in lines]
    return list(_without_columns(lines))


def _without_making(lines: Sequence[str]) -> Iterator[str]:
    """Lines of the report, empty where it says how it was made: times, speeds and machines."""
    left_out = False
    for line in lines:
        if line.startswith(("<h2", "</main>")):
            left_out = _MAKING in line
        yield "" if left_out or line.startswith("<footer>") else line


def _without_cells(lines: Sequence[str]) -> Iterator[str]:
    """Lines of the report, which has a line for each cell, without those below measured headings."""
    column = 0
    dropped: set[int] = set()
    for line in lines:
        if line.startswith(("<thead", "<tr>")):
            column, dropped = 0, set() if line.startswith("<thead") else dropped
        elif line.startswith(("<th", "<td")):
            if line.startswith('<th scope="col"'):
                dropped |= {column} if any(name in line for name in _MEASURED_HEADINGS) else set()
            yield "" if column in dropped else line
            column += 1
            continue
        yield line


def _without_columns(lines: Sequence[str]) -> Iterator[str]:
    """Lines in which Markdown tables lack the measured columns."""
    dropped: set[int] | None = None
    for line in lines:
        if not line.startswith("|"):
            dropped = None
            yield line
            continue
        cells = [cell.strip() for cell in line.split("|")]
        if dropped is None:  # a header
            dropped = {number for number, cell in enumerate(cells) if cell in _MEASURED_HEADINGS}
        yield "|".join(cell for number, cell in enumerate(cells) if number not in dropped)
