"""How far every method, and the standard dose itself, is from the true activity.

The truth is the activity of a phantom's slice as it is stored: on the pixels of the images, in their
unit, without the resolution of a scanner. The standard dose, with which restored images are compared
elsewhere, is an estimate, too: a method that restores it perfectly has its errors.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from quietpet.config.evaluation import EvaluationSettings
from quietpet.errors import InputError
from quietpet.evaluation.cells import Cell, cells_of
from quietpet.evaluation.comparison import TRUTH
from quietpet.evaluation.metrics import METRICS, metric_of
from quietpet.evaluation.rows import BySubject, Row, by_subject, columns_of
from quietpet.evaluation.scoring import REFERENCE, STANDARD, reported, score_slices
from quietpet.evaluation.statistics import SliceValues, ends, summarise, t_interval
from quietpet.evaluation.tables import require_one_lineage, require_same_slices
from quietpet.files.packed import PackedName, ReferenceSlices

_METRICS = tuple(metric for metric in METRICS if metric.variant is TRUTH)

_Column = tuple[str, str, str]
"""Data set, setting and metric."""


@dataclass(frozen=True, kw_only=True)
class TruthPlan:
    """What the table needs to know of the study; ``methods`` and ``regimes`` in their order."""

    methods: Sequence[str]
    regimes: Sequence[str]
    evaluation: EvaluationSettings


@dataclass(frozen=True, kw_only=True)
class TruthRow(Row):
    """One metric of one method; the fields are the columns of ``truth.csv``, None an empty cell.

    ``mean`` to ``seed_std`` and the numbers are those of
    :class:`quietpet.evaluation.statistics.Summary`, ``subject_values`` the means of the subjects, which
    the file has of few. ``standard_mean`` is the mean of the standard dose over subjects, ``difference``
    what the method has above it, with a t interval over subjects, of the trainings that there are.
    """

    dataset: str
    setting: str
    method: str
    learning: str
    estimate: str
    metric: str
    metric_id: str
    mean: float
    std: float | None
    subject_mean: float
    ci_low: float | None
    ci_high: float | None
    subject_values: BySubject
    seed_std: float | None
    standard_mean: float | None
    difference: float | None
    difference_ci_low: float | None
    difference_ci_high: float | None
    n_subjects: int
    n_slices: int
    n_replicates: int
    data_source: str
    projector: str
    registration: str


TRUTH_COLUMNS = columns_of(TruthRow)


def standard_scores(
    about: PackedName, reference: ReferenceSlices, *, paper_window_pixels: int
) -> Iterator[dict[str, Any]]:
    """The rows of a score file of the standard dose against the truth.

    Raises InputError for a data set without truth, and naming a slice that cannot be scored.
    """
    if reference.truth is None:
        raise InputError(
            f"{reference.origin}: has no truth to compare with, as scans have none. Leave it out."
        )
    named = {
        "dataset": about.dataset,
        "setting": about.setting,
        "method": STANDARD,
        "learning": "-",
        "replicate": "-",
        "spread_to_error": "",
        **reported(about.lineage),
    }
    images = {REFERENCE: reference.standard}
    for row in score_slices(
        images, reference, metrics=_METRICS, paper_window_pixels=paper_window_pixels
    ):
        yield {**named, **row}


def truth_rows(scores: pd.DataFrame, standard: pd.DataFrame, *, plan: TruthPlan) -> tuple[TruthRow, ...]:
    """Rows of the standard dose and of all methods, in the order of the study.

    ``scores`` and ``standard``, the latter of the standard dose, have the columns of a score file; those
    of other variants than ``truth`` are left out.

    Raises:
        InputError: methods that the study lacks, data sets without scores of the standard dose, slices
            scored twice, methods scored on different slices, or data of several origins.
    """
    against = scores[scores["variant"] == TRUTH.name]
    _check_names(against, standard, plan)
    found = pd.concat([standard, against], ignore_index=True)
    require_same_slices(found)
    require_one_lineage(found)
    cells = [*cells_of(found)]
    of_standard = {_column(cell): cell.found for cell in cells if cell.run.method == STANDARD}
    rows = [_row(cell, of_standard.get(_column(cell)), plan) for cell in cells]
    datasets = list(dict.fromkeys(standard["dataset"]))
    return tuple(sorted(rows, key=lambda row: (datasets.index(row.dataset), *_order(row, plan))))


def _column(cell: Cell) -> _Column:
    return cell.run.dataset, cell.run.setting, cell.names["metric"]


def _row(cell: Cell, standard: SliceValues | None, plan: TruthPlan) -> TruthRow:
    confidence = plan.evaluation.confidence
    summary = summarise(cell.found, confidence=confidence)
    own = {name: cell.names[name] for name in TRUTH_COLUMNS if name in cell.names}
    counted = {name: value for name, value in vars(summary).items() if name in TRUTH_COLUMNS}
    metric = metric_of(cell.names["metric"], TRUTH.name)
    cells: dict[str, Any] = {**own, **counted, **_above(cell, standard, confidence)}
    return TruthRow(
        metric_id=metric.id(paper_window_pixels=plan.evaluation.paper_window_pixels),
        subject_values=by_subject(cell.found.names, cell.found.by_subject.mean(axis=1)),
        **cells,
    )


def _above(cell: Cell, standard: SliceValues | None, confidence: float) -> Mapping[str, float | None]:
    """What the method has above the standard dose, of the slices of which both have a value."""
    empty = dict.fromkeys(("standard_mean", "difference", "difference_ci_low", "difference_ci_high"))
    if standard is None:
        return empty
    found, standard = cell.found.with_slices_of(standard)
    if not len(standard.keys):
        return empty
    of_standard = standard.by_subject.mean(axis=1)
    mean = {"standard_mean": float(of_standard.mean())}
    if cell.run.method == STANDARD:
        return {**empty, **mean}
    with np.errstate(invalid="ignore"):  # where both are the truth, their PSNR is infinite
        differences = found.by_subject.mean(axis=1) - of_standard
    above = float(differences.mean())
    low, high = ends(t_interval(differences, confidence=confidence))
    difference = None if np.isnan(above) else above
    return {**mean, "difference": difference, "difference_ci_low": low, "difference_ci_high": high}


def _order(row: TruthRow, plan: TruthPlan) -> tuple[Any, ...]:
    """The standard dose first, then methods as configured, metrics as registered."""
    metrics = [metric.name for metric in _METRICS]
    return (
        row.setting,
        [STANDARD, *plan.methods].index(row.method),
        plan.regimes.index(row.learning) if row.learning in plan.regimes else -1,
        row.estimate != "single",
        row.estimate,
        metrics.index(row.metric),
    )


def _check_names(scores: pd.DataFrame, standard: pd.DataFrame, plan: TruthPlan) -> None:
    if unknown := sorted(set(scores["method"]) - set(plan.methods)):
        raise InputError(
            f"scores of the unknown method {unknown[0]!r}; known: {', '.join(plan.methods)}. "
            "Leave those scores out."
        )
    measured = {*standard["metric"]}
    if unmeasured := sorted({*scores["metric"]} - measured):
        raise InputError(
            f"scores of the unknown metric {unmeasured[0]!r}; known: {', '.join(sorted(measured))}. "
            "Make those scores again."
        )
    columns = ["dataset", "setting"]
    places = {*standard[columns].itertuples(index=False, name=None)}
    for place in scores[columns].drop_duplicates().itertuples(index=False, name=None):
        if place not in places:
            raise InputError(
                f"{'/'.join(place)}: its methods are scored against the truth, but its test set is not "
                "among the inputs. Give it, too."
            )
