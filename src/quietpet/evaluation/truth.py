"""How far every method, and the standard dose itself, is from the true activity.

The truth is the activity of a phantom's slice as it is stored: on the pixels of the images, in their
unit, without the resolution of a scanner. The standard dose, with which restored images are compared
elsewhere, is an estimate, too: a method that restores it perfectly has its errors.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

import pandas as pd

from quietpet.config.evaluation import EvaluationSettings
from quietpet.errors import InputError
from quietpet.evaluation.comparison import TRUTH
from quietpet.evaluation.metrics import METRICS, metric_of
from quietpet.evaluation.scoring import LINEAGE, reported, score_slices
from quietpet.evaluation.statistics import summarise
from quietpet.evaluation.tables import require_one_lineage, require_same_slices
from quietpet.files.packed import PackedName, ReferenceSlices
from quietpet.files.text import csv_cell
from quietpet.seeds import numpy_rng

STANDARD = "standard dose"
"""The standard dose in the column ``method``; no method of a study has a space in its name."""

REFERENCE = "reference"
"""It in the column ``estimate``."""

_PLACE = ["dataset", "setting"]
_RUN = [*_PLACE, "method", "learning", "estimate", "metric", *LINEAGE]


@dataclass(frozen=True, kw_only=True)
class TruthPlan:
    """What the table needs to know of the study; ``methods`` and ``regimes`` in their order."""

    study_seed: int
    methods: Sequence[str]
    regimes: Sequence[str]
    evaluation: EvaluationSettings


@dataclass(frozen=True, kw_only=True)
class TruthRow:
    """One metric of one method; the fields are the columns of ``truth.csv``, None an empty cell.

    Statistics are those of :class:`quietpet.evaluation.statistics.Summary`. ``standard_mean`` is the
    mean of the standard dose in the same slices.
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
    ci_low: float | None
    ci_high: float | None
    seed_std: float | None
    standard_mean: float
    n_subjects: int
    n_slices: int
    n_replicates: int
    data_source: str
    projector: str
    registration: str

    def cells(self) -> dict[str, str]:
        """The row as text, numbers to six significant digits."""
        return {column: csv_cell(getattr(self, column)) for column in TRUTH_COLUMNS}


TRUTH_COLUMNS = tuple(field.name for field in fields(TruthRow))


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
        images, reference, paper_window_pixels=paper_window_pixels, variants=(TRUTH,)
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
    of_standard = standard.groupby([*_PLACE, "metric"])["value"].mean()
    rows = [
        _row(dict(zip(_RUN, names, strict=True)), values, of_standard, plan)
        for names, values in found.dropna(subset=["value"]).groupby(_RUN)
    ]
    datasets = list(dict.fromkeys(standard["dataset"]))
    return tuple(sorted(rows, key=lambda row: (datasets.index(row.dataset), *_order(row, plan))))


def _row(
    names: Mapping[str, str], values: pd.DataFrame, of_standard: pd.Series, plan: TruthPlan
) -> TruthRow:
    place = [names[name] for name in _PLACE]
    summary = summarise(
        values,
        # The resamples of the other tables.
        rng=numpy_rng(plan.study_seed, "bootstrap", *place),
        resamples=plan.evaluation.bootstrap_resamples,
        confidence=plan.evaluation.confidence,
    )
    metric = metric_of(names["metric"], TRUTH.name)
    cells: dict[str, Any] = {**names, **vars(summary)}
    return TruthRow(
        metric_id=metric.id(paper_window_pixels=plan.evaluation.paper_window_pixels),
        standard_mean=float(of_standard[*place, metric.name]),
        **cells,
    )


def _order(row: TruthRow, plan: TruthPlan) -> tuple[Any, ...]:
    """The standard dose first, then methods as configured, metrics as registered."""
    metrics = [metric.name for metric in METRICS if metric.variant is TRUTH]
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
    known = {metric.name for metric in METRICS if metric.variant is TRUTH}
    if unmeasured := sorted({*scores["metric"], *standard["metric"]} - known):
        raise InputError(f"scores of the unknown metric {unmeasured[0]!r}. Make them again.")
    places = {tuple(place) for place in standard[_PLACE].itertuples(index=False)}
    for place in scores[_PLACE].drop_duplicates().itertuples(index=False):
        if tuple(place) not in places:
            raise InputError(
                f"{'/'.join(place)}: its methods are scored against the truth, but its test set is not "
                "among the inputs. Give it, too."
            )
