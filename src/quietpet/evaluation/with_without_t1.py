"""What T1 buys: each method that uses it beside its variant without, on the same slices."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from quietpet.config.inputs import WithoutT1
from quietpet.evaluation.comparison import VARIANTS
from quietpet.evaluation.metrics import metric_of
from quietpet.evaluation.paired import (
    Judged,
    Measured,
    PairedDifference,
    judge,
    paired_difference,
    pooled_between_trainings,
)
from quietpet.evaluation.rows import Row, columns_of
from quietpet.evaluation.scoring import LINEAGE
from quietpet.evaluation.statistics import SliceValues, ends
from quietpet.evaluation.table_plan import TablePlan
from quietpet.evaluation.tables import against_standard

COMPARED = ("psnr_db", "ssim", "nmse")
"""Metrics of the table."""

_PLACE = ["dataset", "setting", "learning", "estimate", "metric", "variant", *LINEAGE]


@dataclass(frozen=True, kw_only=True)
class T1Row(Row):
    """One metric of a method with T1 and without; the fields are the columns, None an empty cell.

    ``method_without`` is the variant without, and ``without`` says how it does without; where there is
    none, why. ``difference``: mean over slices of the metric with T1 minus without; slices are averaged
    over trainings first. Its interval is the t interval over subjects, ``p_holm`` that p, corrected for
    all pairs of the setting. ``verdict`` is what may be said of T1, and
    ``reason`` why no more. All of it is of slices that have a T1.
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
    p_holm: float | None
    verdict: str
    reason: str
    n_subjects: int
    n_slices: int
    n_replicates: int
    n_replicates_without: int | None
    protocol: str
    data_source: str
    projector: str
    registration: str


T1_COLUMNS = columns_of(T1Row)


def compare_t1(scores: pd.DataFrame, *, plan: TablePlan) -> tuple[T1Row, ...]:
    """Rows of every method that uses T1 and is scored, methods as configured.

    ``scores`` have the columns of a score file and passed the checks of
    :func:`quietpet.evaluation.tables.assemble`. Slices that have no T1 are left out on both sides:
    there the method is itself without.
    """
    scores = against_standard(scores)
    compared = scores[scores["metric"].isin(COMPARED) & scores["has_t1"]].dropna(subset=["value"])
    families: dict[tuple[str, ...], list[_Measured]] = {}
    for pair in plan.without_t1:
        for each in _measured(compared, pair):
            family = tuple(each.names[name] for name in ("dataset", "setting", "metric", "variant"))
            families.setdefault(family, []).append(each)
    rows = [row for members in families.values() for row in _judged(members, plan)]
    return tuple(sorted(rows, key=lambda row: _order(row, plan)))


class _Measured(NamedTuple):
    """One metric of a method with T1, and of its variant without if that was scored."""

    names: dict[str, str]
    pair: WithoutT1
    with_t1: SliceValues
    without: SliceValues | None


def _measured(scores: pd.DataFrame, pair: WithoutT1) -> Iterator[_Measured]:
    others = dict(iter(scores[scores["method"] == pair.variant].groupby(_PLACE)))
    for place, values in scores[scores["method"] == pair.method].groupby(_PLACE):
        without = others.get(place)
        yield _Measured(
            names=dict(zip(_PLACE, place, strict=True)),
            pair=pair,
            with_t1=SliceValues.from_scores(values),
            without=None if without is None else SliceValues.from_scores(without),
        )


def _judged(members: Sequence[_Measured], plan: TablePlan) -> Iterator[T1Row]:
    """The rows of one setting and metric, whose pairs are one family of tests."""
    least = pooled_between_trainings(
        values.by_subject
        for each in members
        for values, name in ((each.with_t1, each.pair.method), (each.without, each.pair.variant))
        if values is not None and name in plan.trained
    )
    pairs = [_paired(each, plan, least) for each in members]
    names = members[0].names
    judged = iter(
        judge(
            [pair for pair in pairs if pair],
            better=metric_of(names["metric"], names["variant"]).better,
            confidence=plan.evaluation.confidence,
        )
    )
    for each, pair in zip(members, pairs, strict=True):
        yield _row(each, next(judged) if pair else None, plan)


def _paired(each: _Measured, plan: TablePlan, least: float) -> PairedDifference | None:
    """Of the subjects' means over the slices that both have a value of."""
    if each.without is None:
        return None
    # A variant that restores with the weights of the method shares its trainings, which are taken for
    # others' here: the interval is then rather too wide.
    common = each.with_t1.with_slices_of(each.without)
    if not len(common[0].keys):
        return None
    measured = (
        Measured(
            method=str(method),
            values=values.by_subject,
            trained=method in plan.trained,
            least_variance=least,
        )
        for method, values in zip((each.pair.method, each.pair.variant), common, strict=True)
    )
    return paired_difference(*measured, confidence=plan.evaluation.confidence)


def _row(each: _Measured, found: Judged | None, plan: TablePlan) -> T1Row:
    with_t1, without, how = each.with_t1, each.without, each.pair.how
    if each.pair.variant and without is None:
        how = f"{how}, but {each.pair.variant} is not scored here"
    low, high = ends(found.pair.interval if found else None)
    return T1Row(
        method=each.pair.method,
        method_without=each.pair.variant,
        without=how,
        mean_with_t1=float(with_t1.by_slice.mean()),
        mean_without_t1=None if without is None else float(without.by_slice.mean()),
        difference=None if without is None else _difference(with_t1, without),
        difference_ci_low=low,
        difference_ci_high=high,
        p_holm=found.p_holm if found else None,
        verdict=found.verdict.word if found else "",
        reason=found.verdict.reason if found else "",
        n_subjects=len(with_t1.names),
        n_slices=len(with_t1.keys),
        n_replicates=with_t1.values.shape[1],
        n_replicates_without=None if without is None else without.values.shape[1],
        protocol=f"{plan.protocol}: {plan.methods[each.pair.method]}",
        **each.names,
    )


def _difference(with_t1: SliceValues, without: SliceValues) -> float | None:
    """Mean over the slices that both have a value of; undefined where both are infinite."""
    one, other = (each.by_slice for each in with_t1.with_slices_of(without))
    both_infinite = np.isinf(one) & np.isinf(other)
    gained = one[~both_infinite] - other[~both_infinite]
    return float(gained.mean()) if len(gained) else None


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
