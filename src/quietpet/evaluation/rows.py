"""Rows of tables: records whose fields are the columns of a file."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, fields
from typing import Protocol

from quietpet.files.text import csv_cell

FEW_SUBJECTS = 5
"""With fewer, what each subject has is printed."""

BySubject = tuple[tuple[str, float], ...]
"""What each subject has."""


@dataclass(frozen=True, kw_only=True)
class Row:
    """One row of a table; a field that is None is an empty cell."""

    def cells(self) -> dict[str, str]:
        """The row as text, numbers to six significant digits."""
        return {name: _text(getattr(self, name)) for name in columns_of(type(self))}


class OfRun(Protocol):
    """A row of what a method, learned in one way, made of one setting of a data set."""

    @property
    def dataset(self) -> str: ...
    @property
    def setting(self) -> str: ...
    @property
    def method(self) -> str: ...
    @property
    def learning(self) -> str: ...


def columns_of(kind: type[Row]) -> tuple[str, ...]:
    """The columns of a table of such rows."""
    return tuple(field.name for field in fields(kind))


def by_subject(subjects: Iterable[str], values: Iterable[float]) -> BySubject:
    """Each subject with its value."""
    return tuple((str(name), float(value)) for name, value in zip(subjects, values, strict=True))


def _text(value: object) -> str:
    return _of_subjects(value) if isinstance(value, tuple) else csv_cell(value)


def _of_subjects(values: BySubject) -> str:
    """What each subject has, in one cell; empty of many, who are summarised."""
    if len(values) >= FEW_SUBJECTS:
        return ""
    return "; ".join(f"{subject}: {csv_cell(value)}" for subject, value in values)
