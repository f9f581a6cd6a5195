"""Measures of whole subjects, restored by every method: means over subjects with their intervals."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields

import pandas as pd

from quietpet.errors import InputError
from quietpet.evaluation.statistics import ends, t_interval
from quietpet.files.text import csv_cell

_CELL = ["dataset", "setting", "method", "learning", "estimate", "measure"]

FEW_SUBJECTS = 5
"""Of fewer subjects their own values are given, too."""


@dataclass(frozen=True, kw_only=True)
class SubjectsPlan:
    """``methods`` give the order of rows."""

    methods: tuple[str, ...]
    confidence: float
    protocol: str


@dataclass(frozen=True, kw_only=True)
class SubjectsRow:
    """One row of ``subjects.csv``: the mean over subjects of the means over trainings.

    None is an empty cell. ``count`` is the number of lesions, pixels or regions of all subjects;
    ``by_subject`` their values where they are few.
    """

    dataset: str
    setting: str
    method: str
    learning: str
    estimate: str
    measure: str
    mean: float
    ci_low: float | None
    ci_high: float | None
    n_subjects: int
    n_replicates: int
    count: int
    by_subject: str
    protocol: str

    def cells(self) -> dict[str, str]:
        """The row as text."""
        return {name: csv_cell(getattr(self, name)) for name in SUBJECTS_TABLE_COLUMNS}


SUBJECTS_TABLE_COLUMNS = tuple(field.name for field in fields(SubjectsRow))


def subjects_rows(measured: pd.DataFrame, plan: SubjectsPlan) -> list[SubjectsRow]:
    """Rows by data set, setting and method, from columns SUBJECT_COLUMNS; what has no value has no row.

    Raises:
        InputError: trainings of one method were measured in other subjects.
    """
    order = {name: place for place, name in enumerate(plan.methods)}
    names = list(dict.fromkeys(measured["measure"]))
    rows = []
    for key, block in measured.dropna(subset="value").groupby(_CELL, sort=False):
        values = block.pivot(index="subject", columns="replicate", values="value").sort_index()
        if values.isna().any(axis=None):
            subject = values.index[values.isna().any(axis="columns")][0]
            raise InputError(
                f"trainings of {key[2]!r} on {key[0]}/{key[1]} were measured in other subjects: "
                f"{key[5]} of {subject!r} is missing in some. Make the older scores again."
            )
        of_subjects = values.mean(axis="columns")
        low, high = ends(t_interval(of_subjects.to_numpy(), confidence=plan.confidence))
        few = len(of_subjects) < FEW_SUBJECTS
        rows.append(
            SubjectsRow(
                **dict(zip(_CELL, map(str, key), strict=True)),
                mean=float(of_subjects.mean()),
                ci_low=low,
                ci_high=high,
                n_subjects=len(of_subjects),
                n_replicates=values.shape[1],
                count=int(block.groupby("subject")["count"].first().sum()),
                by_subject=_listed(of_subjects) if few else "",
                protocol=plan.protocol,
            )
        )
    places = {
        cell: place for place, cell in enumerate(dict.fromkeys((r.dataset, r.setting) for r in rows))
    }
    return sorted(
        rows,
        key=lambda row: (
            places[row.dataset, row.setting],
            order.get(row.method, len(order)),
            row.method,
            row.learning,
            row.estimate != "single",
            row.estimate,
            names.index(row.measure),
        ),
    )


def _listed(of_subjects: pd.Series) -> str:
    return "; ".join(f"{subject}: {value:.4g}" for subject, value in of_subjects.items())


def by_measure(rows: Sequence[SubjectsRow]) -> dict[tuple[str, str], dict[str, SubjectsRow]]:
    """Rows of one data set by measure, for each method and learning; of single samples alone."""
    found: dict[tuple[str, str], dict[str, SubjectsRow]] = {}
    for row in rows:
        if row.estimate == "single":
            found.setdefault((row.method, row.learning), {})[row.measure] = row
    return found
