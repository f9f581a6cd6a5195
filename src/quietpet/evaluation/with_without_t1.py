"""What T1 buys: each method that uses it beside its variant without, on the same slices."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, fields
from typing import Any

import pandas as pd

from quietpet.config.inputs import WithoutT1
from quietpet.evaluation.comparison import VARIANTS
from quietpet.evaluation.scoring import LINEAGE
from quietpet.evaluation.statistics import subject_bootstrap_interval, values_by_replicate
from quietpet.evaluation.tables import TablePlan, against_standard
from quietpet.files.text import csv_cell
from quietpet.seeds import numpy_rng

COMPARED = ("psnr_db", "ssim", "nmse")
"""Metrics of the table."""

_PLACE = ["dataset", "setting", "learning", "estimate", "metric", "variant", *LINEAGE]


@dataclass(frozen=True, kw_only=True)
class T1Row:
    """One metric of a method with T1 and without; the fields are the columns, None an empty cell.

    ``method_without`` is the variant without, and ``without`` says how it does without; where there is
    none, why. ``difference``: mean over slices of the metric with T1 minus without, and its interval
    over subjects; slices are averaged over trainings first. All of it is of slices that have a T1.
    """

    dataset: str
    setting: str
    method: str
    method_without: str | None
    without: str
    learning: str
    estimate: str
    metric: str
    variant: str
    mean_with_t1: float
    mean_without_t1: float | None
    difference: float | None
    difference_ci_low: float | None
    difference_ci_high: float | None
    n_subjects: int
    n_slices: int
    n_replicates: int
    n_replicates_without: int | None
    protocol: str
    data_source: str
    projector: str
    registration: str

    def cells(self) -> dict[str, str]:
        """The row as text, numbers to six significant digits."""
        return {column: csv_cell(getattr(self, column)) for column in T1_COLUMNS}


T1_COLUMNS = tuple(field.name for field in fields(T1Row))


def compare_t1(scores: pd.DataFrame, *, plan: TablePlan) -> tuple[T1Row, ...]:
    """Rows of every method that uses T1 and is scored, methods as configured.

    ``scores`` have the columns of a score file and passed the checks of
    :func:`quietpet.evaluation.tables.assemble`. Slices that have no T1 are left out on both sides:
    there the method is itself without.
    """
    scores = against_standard(scores)
    compared = scores[scores["metric"].isin(COMPARED) & scores["has_t1"]].dropna(subset=["value"])
    rows = [row for pair in plan.without_t1 for row in _pair(compared, pair, plan)]
    return tuple(sorted(rows, key=lambda row: _order(row, plan)))


def _pair(scores: pd.DataFrame, pair: WithoutT1, plan: TablePlan) -> Iterator[T1Row]:
    others = dict(iter(scores[scores["method"] == pair.variant].groupby(_PLACE)))
    for place, values in scores[scores["method"] == pair.method].groupby(_PLACE):
        names = dict(zip(_PLACE, place, strict=True))
        yield _row(names, values, others.get(place), pair, plan)


def _row(
    names: dict[str, str],
    with_t1: pd.DataFrame,
    without_t1: pd.DataFrame | None,
    pair: WithoutT1,
    plan: TablePlan,
) -> T1Row:
    by_replicate = values_by_replicate(with_t1)
    by_slice = by_replicate.mean(axis="columns")
    how = pair.how
    if pair.variant and without_t1 is None:
        how = f"{pair.how}, but {pair.variant} is not scored here"
    cells: dict[str, Any] = {**names, **_difference(by_slice, without_t1, names, plan)}
    return T1Row(
        method=pair.method,
        method_without=pair.variant,
        without=how,
        mean_with_t1=float(by_slice.mean()),
        n_subjects=by_slice.index.get_level_values("subject").nunique(),
        n_slices=len(by_slice),
        n_replicates=by_replicate.shape[1],
        protocol=f"{plan.protocol}: {plan.methods[pair.method]}",
        **cells,
    )


def _difference(
    with_t1: pd.Series, scores: pd.DataFrame | None, names: dict[str, str], plan: TablePlan
) -> dict[str, Any]:
    """The cells on the variant without T1, of the slices that both have a value of."""
    if scores is None:
        empty = ("mean_without_t1", "difference", "difference_ci_low", "difference_ci_high")
        return dict.fromkeys((*empty, "n_replicates_without"))
    by_replicate = values_by_replicate(scores)
    without = by_replicate.mean(axis="columns")
    gained = (with_t1 - without).dropna()  # undefined where both are infinite
    low, high = subject_bootstrap_interval(
        gained.to_numpy(),
        gained.index.get_level_values("subject").to_numpy(),
        # One seed per data set and setting, as in the other tables.
        rng=numpy_rng(plan.study_seed, "bootstrap", names["dataset"], names["setting"]),
        resamples=plan.evaluation.bootstrap_resamples,
        confidence=plan.evaluation.confidence,
    )
    return {
        "mean_without_t1": float(without.mean()),
        "difference": float(gained.mean()) if len(gained) else None,
        "difference_ci_low": low,
        "difference_ci_high": high,
        "n_replicates_without": by_replicate.shape[1],
    }


def _order(row: T1Row, plan: TablePlan) -> tuple[Any, ...]:
    datasets, methods = list(plan.datasets), list(plan.methods)
    variants = [variant.name for variant in VARIANTS]
    return (
        datasets.index(row.dataset),
        row.setting,
        variants.index(row.variant),
        methods.index(row.method),
        methods.index(row.method_without) if row.method_without else -1,
        plan.regimes.index(row.learning) if row.learning in plan.regimes else -1,
        row.estimate != "single",
        COMPARED.index(row.metric),
    )
