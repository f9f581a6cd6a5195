"""Sections of the report: sentences, tables of plain values and figures, kept as JSON.

A step that has something to show writes one beside its CSV; the report shows what it is given and
computes nothing. Text may hold `code` and **strong** words in the manner of Markdown, no more of it.
"""

from __future__ import annotations

import hashlib
import math
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from numbers import Real
from pathlib import Path
from typing import Any, ClassVar, TypeVar

from pydantic import ConfigDict, TypeAdapter, ValidationError

from quietpet.errors import InputError, replacing
from quietpet.files.text import csv_cell, markdown_row, read_json, write_json

Cell = str | int | float | bool | None

_ID = re.compile(r"[a-z][a-z0-9]*([-_][a-z0-9]+)*")


@dataclass(frozen=True, kw_only=True)
class Column:
    """One column: what it shows of each row, and how.

    ``key`` names the value of a row. ``spread``, ``low`` and ``high``, ``mark`` name further keys of the
    same row, which are shown with it: "value ± spread [low, high] mark". So numbers stay numbers, by
    which a reader can sort. ``digits`` are decimal places; None leaves six significant ones. A
    ``signed`` number, such as a difference, has its plus.
    """

    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(extra="forbid")

    key: str
    label: str
    unit: str = ""
    digits: int | None = None
    signed: bool = False
    spread: str = ""
    low: str = ""
    high: str = ""
    mark: str = ""

    @property
    def heading(self) -> str:
        """The label with its unit."""
        return f"{self.label} [{self.unit}]" if self.unit else self.label

    @property
    def keys(self) -> tuple[str, ...]:
        """Every key of a row that the column shows."""
        return tuple(filter(None, (self.key, self.spread, self.low, self.high, self.mark)))

    def text(self, row: Mapping[str, Cell]) -> str:
        """What the column shows of a row; empty where it has no value."""
        value = row.get(self.key)
        if value is None:
            return ""
        parts = [self._one(value)]
        if (spread := row.get(self.spread)) is not None:
            parts.append(f"± {self._one(spread)}")
        low, high = row.get(self.low), row.get(self.high)
        if low is not None and high is not None:
            parts.append(f"[{self._one(low)}, {self._one(high)}]")
        if (mark := row.get(self.mark)) is not None:
            parts.append(self._one(mark))
        return " ".join(filter(None, parts))

    def _one(self, value: Cell) -> str:
        if isinstance(value, bool):
            return "yes" if value else "no"
        if isinstance(value, float) and self.digits is not None:
            return f"{value:{'+' if self.signed else ''}z.{self.digits}f}"
        return csv_cell(value)


def cell(value: float | None) -> Cell:
    """A number, or the word for one that JSON cannot hold: the PSNR of an image without error."""
    return value if value is None or math.isfinite(value) else f"{value:g}"


def counted(number: int, noun: str) -> str:
    """A number with its noun, which takes an s: 1 job, 2 jobs."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def anchor(name: str) -> str:
    """Part of the ``id`` of a :class:`Section`, after "-" or "_", for any name that a study may give.

    It is of lower case letters, digits and "-". A name that has other signs gets a few letters of its
    digest, so that no two names share an anchor.
    """
    plain = "-".join(re.findall("[a-z0-9]+", name.lower()))
    digest = hashlib.sha256(name.encode()).hexdigest()[:6]
    return plain if plain == name else "-".join(filter(None, (plain, digest)))


@dataclass(frozen=True, kw_only=True)
class Table:
    """Rows of plain values; the first column names each row.

    Tables that follow one another with the same caption and a ``variant`` each are one table to a
    reader, who switches between them.
    """

    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(extra="forbid")

    caption: str
    columns: tuple[Column, ...]
    rows: tuple[dict[str, Cell], ...]
    variant: str = ""

    def __post_init__(self) -> None:
        """Refuse rows that the columns do not show whole, and numbers that JSON cannot hold.

        Raises:
            ValueError: naming the caption, the key and the value.
        """
        shown = {key for column in self.columns for key in column.keys}
        if not shown:
            raise ValueError(f"the table {self.caption!r} has no columns")
        for row in self.rows:
            if unknown := sorted(set(row) - shown):
                raise ValueError(f"no column of the table {self.caption!r} shows {', '.join(unknown)}")
            for key, value in row.items():
                if isinstance(value, Real) and not math.isfinite(value):
                    raise ValueError(
                        f"{key} is {value} in the table {self.caption!r}; leave it empty or write a word"
                    )


@dataclass(frozen=True, kw_only=True)
class ShownFigure:
    """A figure by the name of its file, PNG or SVG, without a folder.

    ``alt`` says to one who does not see it what it shows.
    """

    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(extra="forbid")

    file: str
    alt: str
    caption: str


@dataclass(frozen=True, kw_only=True)
class Section:
    """What one step shows: summary first, then what must be known, tables and figures.

    ``id`` is its anchor, of lower case letters, digits, "-" and "_". ``part`` is the heading under which
    the report puts it, with others of the same part. ``summary`` and each of ``warnings`` and ``notes``
    are a sentence or more. ``sections`` follow below it, with ids that are unique in the whole report.
    """

    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(extra="forbid")

    id: str
    title: str
    summary: str
    part: str = ""
    warnings: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    tables: tuple[Table, ...] = ()
    figures: tuple[ShownFigure, ...] = ()
    sections: tuple[Section, ...] = ()

    def __post_init__(self) -> None:
        """Refuse an ``id`` that cannot be an anchor, and figures without a text of their own.

        Raises:
            ValueError: naming the value.
        """
        if not _ID.fullmatch(self.id):
            raise ValueError(
                f"id is {self.id!r}; use lower case letters and digits, words joined by '-' or '_'"
            )
        for figure in self.figures:
            if not figure.alt.strip():
                raise ValueError(f"the figure {figure.file!r} has no alt text")

    def walk(self) -> Iterator[Section]:
        """This section and all below it, in reading order."""
        yield self
        for each in self.sections:
            yield from each.walk()


_SECTION = TypeAdapter(Section)


def write_section(target: Path, section: Section) -> None:
    """Write a file that :func:`read_section` reads back."""
    write_json(target, _plain(asdict(section)))


def read_section(path: Path) -> Section:
    """The section of a file.

    Raises:
        InputError: the file is missing or holds no section; the message names the field.
    """
    value = read_json(path)
    try:
        return _SECTION.validate_python(value)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(map(str, first["loc"])) or "section"
        raise InputError(
            f"{path}: not a section of the report ({place}: {first['msg']}). {replacing(path)}"
        ) from None


def _plain(value: Any) -> Any:
    """The value with NumPy's scalars as Python's own."""
    if isinstance(value, Mapping):
        return {key: _plain(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(each) for each in value]
    return value.item() if hasattr(value, "item") else value


def render_markdown(section: Section, *, level: int = 2, figures: str = "figures") -> str:
    """The section as Markdown under a heading of ``level``; ``figures`` is the folder of its figures."""
    blocks = [
        f"{'#' * level} {section.title}",
        section.summary,
        *(f"> **WARNING - {warning}**" for warning in section.warnings),
        *(["\n".join(f"- {note}" for note in section.notes)] if section.notes else []),
    ]
    for caption, tables in switched(section.tables):
        blocks += [f"{'#' * (level + 1)} {caption}", *_grids(tables)]
    blocks += [f"![{each.alt}]({figures}/{each.file})\n\n{each.caption}" for each in section.figures]
    blocks += [render_markdown(each, level=level + 1, figures=figures) for each in section.sections]
    return "\n\n".join(filter(None, blocks))


def switched(tables: Sequence[Table]) -> Iterator[tuple[str, list[Table]]]:
    """Tables that follow one another with the same caption and variants of their own, together."""
    for members in _runs(tables, _joins):
        yield members[0].caption, members


def _joins(members: Sequence[Table], table: Table) -> bool:
    return (
        bool(table.variant)
        and table.caption == members[0].caption
        and table.variant not in {each.variant for each in members}
    )


_T = TypeVar("_T")


def _runs(values: Sequence[_T], joins: Callable[[Sequence[_T], _T], bool]) -> Iterator[list[_T]]:
    """Neighbours in runs, each as long as its next value ``joins`` it."""
    run: list[_T] = []
    for value in values:
        if run and not joins(run, value):
            yield run
            run = []
        run.append(value)
    if run:
        yield run


def _grids(tables: Sequence[Table]) -> Iterator[str]:
    for table in tables:
        if table.variant:
            yield f"Variant `{table.variant}`"
        yield "\n".join(
            [
                markdown_row(_escaped(column.heading) for column in table.columns),
                markdown_row(["---"] * len(table.columns)),
                *(
                    markdown_row(_escaped(column.text(row)) for column in table.columns)
                    for row in table.rows
                ),
            ]
        )


def _escaped(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")
