"""Measures of whole subjects, restored by every method: means over subjects with their intervals."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd

from quietpet.errors import InputError
from quietpet.evaluation.bounded import Scale, mean_and_interval
from quietpet.evaluation.rows import Row, columns_of
from quietpet.evaluation.scoring import REFERENCE, STANDARD
from quietpet.evaluation.statistics import ends

_CELL = ["dataset", "setting", "method", "learning", "estimate", "against", "measure"]

FEW_SUBJECTS = 5
"""Of fewer subjects their own values are given, too."""


@dataclass(frozen=True, kw_only=True)
class SubjectsPlan:
    """``methods`` give the order of rows."""

    methods: tuple[str, ...]
    confidence: float
    protocol: str


@dataclass(frozen=True, kw_only=True)
class SubjectsRow(Row):
    """One row of ``subjects.csv``: the mean over subjects of the means over trainings.

    Of ratios it is the geometric mean over subjects. ``against``: what images are compared with, the
    "standard" dose or the "truth"; against the truth the standard dose has rows of its own, with
    ``estimate`` "reference". None is an empty cell. ``count`` is the number of lesions, pixels or
    regions of all subjects; ``by_subject`` their values where they are few.
    """

    dataset: str
    setting: str
    method: str
    learning: str
    estimate: str
    against: str
    measure: str
    mean: float
    ci_low: float | None
    ci_high: float | None
    n_subjects: int
    n_replicates: int
    count: int
    by_subject: str
    protocol: str


SUBJECTS_TABLE_COLUMNS = columns_of(SubjectsRow)


def subjects_rows(measured: pd.DataFrame, plan: SubjectsPlan) -> list[SubjectsRow]:
    """Rows by data set, setting and method, from columns SUBJECT_COLUMNS; what has no value has no row.

    Raises:
        InputError: trainings of one method were measured in other subjects.
    """
    order = {name: place for place, name in enumerate((STANDARD, *plan.methods))}
    measured = _standard_once(measured)
    names = list(dict.fromkeys(measured["measure"]))
    rows = []
    for key, block in measured.dropna(subset="value").groupby(_CELL, sort=False):
        values = block.pivot(index="subject", columns="replicate", values="value").sort_index()
        if values.isna().any(axis=None):
            subject = values.index[values.isna().any(axis="columns")][0]
            raise InputError(
                f"trainings of {key[2]!r} on {key[0]}/{key[1]} were measured in other subjects: "
                f"{key[6]} of {subject!r} is missing in some. Make the older scores again."
            )
        of_subjects = values.mean(axis="columns")
        mean, interval = mean_and_interval(
            of_subjects.to_numpy(), scale_of(str(key[6])), confidence=plan.confidence
        )
        low, high = ends(interval)
        few = len(of_subjects) < FEW_SUBJECTS
        rows.append(
            SubjectsRow(
                **dict(zip(_CELL, map(str, key), strict=True)),
                mean=mean,
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
            row.against,
            names.index(row.measure),
        ),
    )


def scale_of(measure: str) -> Scale:
    """What values a measure can have."""
    if measure.startswith("brain_"):
        return "share"
    if measure.endswith("_ratio"):
        return "ratio"
    return "positive" if measure.endswith(("_rms_percent", "region_bias_percent")) else "real"


def _standard_once(measured: pd.DataFrame) -> pd.DataFrame:
    """The rows of the standard dose once: every restoration's file has them."""
    repeated = measured.duplicated(["dataset", "setting", "method", "against", "measure", "subject"])
    return measured[~(repeated & (measured["method"] == STANDARD))]


def _listed(of_subjects: pd.Series) -> str:
    return "; ".join(f"{subject}: {value:.4g}" for subject, value in of_subjects.items())


def by_measure(
    rows: Sequence[SubjectsRow], *, against: str
) -> dict[tuple[str, str], dict[str, SubjectsRow]]:
    """Rows of one data set by measure, for each method and learning; of single samples alone.

    The standard dose is first where there are rows of it.
    """
    found: dict[tuple[str, str], dict[str, SubjectsRow]] = {}
    for row in rows:
        if row.against == against and row.estimate in ("single", REFERENCE):
            found.setdefault((row.method, row.learning), {})[row.measure] = row
    return found
