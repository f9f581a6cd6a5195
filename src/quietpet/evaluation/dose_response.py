"""Image quality against dose, and the untreated dose that each method equals.

A scan has as many values as subjects: means over slices, then over trainings. Intervals are t intervals
over subjects.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from quietpet.config.dose_response import TRAINED_AT
from quietpet.errors import InputError
from quietpet.evaluation.comparison import QUANTITATIVE, TRUTH
from quietpet.evaluation.metrics import METRICS
from quietpet.evaluation.rows import Row, columns_of
from quietpet.evaluation.scoring import LINEAGE
from quietpet.evaluation.statistics import ends, t_interval
from quietpet.evaluation.tables import require_one_lineage, require_same_slices

Headline = tuple[str, str]
"""A metric, by its name and variant."""

HEADLINES: Mapping[Headline, int] = {
    ("psnr_db", QUANTITATIVE.name): 1,
    ("ssim", QUANTITATIVE.name): 1,
    ("nmse", QUANTITATIVE.name): -1,
    ("bias_percent", QUANTITATIVE.name): 0,
    ("pet_only_contrast_percent", QUANTITATIVE.name): 0,
    ("psnr_db", TRUTH.name): 1,
}
"""Metrics against dose, and whether more (1) or less (-1) of each is better.

0: neither, so that no dose is equivalent by it. The truth shares no noise with any dose.
"""

OWN_DOSE = "-"
"""In the column ``trained_on``: the dose itself, all trainings."""


def label_of(metric: Headline) -> str:
    """What readers call a metric."""
    label = next(each.label for each in METRICS if (each.name, each.variant.name) == metric)
    return f"{label} to the truth" if metric[1] == TRUTH.name else label


class Amount(NamedTuple):
    """How much of the standard dose one setting of a data set is, and how it is given."""

    dataset: str
    setting: str
    fraction: float
    way: str
    conditions: str = ""


@dataclass(frozen=True, kw_only=True)
class DosePlan:
    """What the tables need to know of the study.

    ``methods`` are in the order of the tables, ``low_dose`` those of them that are the low-dose image
    itself. ``factors`` are those whose dose is asked for.
    """

    amounts: Sequence[Amount]
    methods: Sequence[str]
    low_dose: Sequence[str]
    factors: Sequence[float]
    confidence: float

    def of(self, dataset: str) -> dict[str, Amount]:
        """The doses of a data set by setting, the lowest first."""
        found = (amount for amount in self.amounts if amount.dataset == dataset)
        return {each.setting: each for each in sorted(found, key=lambda each: each.fraction)}

    @property
    def datasets(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(amount.dataset for amount in self.amounts))


@dataclass(frozen=True, kw_only=True)
class DoseRow(Row):
    """One metric at one dose; the fields are the columns of ``dose_response.csv``, None an empty cell.

    ``trained_on``: the dose at which the method learned, of its first training alone; "-": the dose
    itself, all trainings. ``difference``: what is lost by learning at another dose, mean over subjects.
    """

    dataset: str
    setting: str
    fraction: float
    way: str
    method: str
    learning: str
    trained_on: str
    metric: str
    variant: str
    estimate: str
    mean: float
    ci_low: float | None
    ci_high: float | None
    difference: float | None = None
    difference_ci_low: float | None = None
    difference_ci_high: float | None = None
    n_subjects: int
    n_slices: int
    n_replicates: int
    data_source: str
    projector: str
    registration: str

    @property
    def headline(self) -> Headline:
        return self.metric, self.variant


DOSE_COLUMNS = columns_of(DoseRow)


_PLACE = ("dataset", "setting")
_RUN = ["dataset", "setting", "method", "learning", "trained_on", "metric", "variant", "estimate"]


@dataclass(frozen=True, kw_only=True, eq=False)
class DoseScores:
    """One metric of one restoration: the values of its subjects, by their name, sorted."""

    dataset: str
    setting: str
    method: str
    learning: str
    trained_on: str
    metric: str
    variant: str
    estimate: str
    by_subject: pd.Series
    n_slices: int
    n_replicates: int
    lineage: Mapping[str, str]

    @property
    def names(self) -> dict[str, str]:
        """What it is of."""
        return {name: getattr(self, name) for name in _RUN}

    @property
    def headline(self) -> Headline:
        return self.metric, self.variant

    @property
    def curve(self) -> tuple[str, ...]:
        """All but the dose."""
        return self.dataset, self.method, self.learning, self.metric, self.variant, self.estimate


def dose_scores(
    scores: pd.DataFrame, crossed: pd.DataFrame | None, *, plan: DosePlan
) -> list[DoseScores]:
    """The headline metrics of ``scores``, and of restorations with what was ``crossed`` between doses.

    Those of the dose itself are also there as the first training alone where something is crossed.

    Raises:
        InputError: methods that the study lacks, slices scored twice, methods scored on different
            slices, data of several origins.
    """
    own = scores.assign(trained_on=OWN_DOSE)
    parts = [own] if crossed is None else [own, *_with_own(own, _crossed(crossed))]
    every = pd.concat(parts, ignore_index=True)
    if unknown := sorted(set(every["method"]) - set(plan.methods)):
        raise InputError(
            f"scores of the unknown method {unknown[0]!r}; known: {', '.join(plan.methods)}. "
            "Leave those scores out."
        )
    require_same_slices(every, also=["trained_on"])
    require_one_lineage(every)
    known = {(amount.dataset, amount.setting) for amount in plan.amounts}
    shown = every[_among(every, ["metric", "variant"], HEADLINES) & _among(every, _PLACE, known)].dropna(
        subset=["value"]
    )
    found = [
        _of_run(dict(zip(_RUN, names, strict=True)), values)
        for names, values in shown.groupby(_RUN, sort=False)
    ]
    return sorted(found, key=lambda each: _order(each, plan))


def _crossed(scores: pd.DataFrame) -> pd.DataFrame:
    """Scores of what learned at another dose, which their ``learning`` names."""
    learned = scores["learning"].str.rpartition(TRAINED_AT)
    return scores.assign(learning=learned[0], trained_on=learned[2])


def _with_own(own: pd.DataFrame, crossed: pd.DataFrame) -> Iterator[pd.DataFrame]:
    """``crossed``, and beside it the same trainings at the doses at which they learned."""
    yield crossed
    runs = ["dataset", "method", "learning", "replicate"]
    same = own.merge(crossed[runs].drop_duplicates(), on=runs)
    tested = {*zip(crossed["dataset"], crossed["setting"], strict=True)}
    beside = same[_among(same, _PLACE, tested)]
    yield beside.assign(trained_on=beside["setting"])


def _among(
    scores: pd.DataFrame, columns: Sequence[str], known: Collection[tuple[str, str]]
) -> np.ndarray:
    """Which of ``scores`` have in two ``columns`` what is ``known``."""
    return pd.MultiIndex.from_frame(scores[[*columns]]).isin([*known])


def _of_run(names: Mapping[str, str], values: pd.DataFrame) -> DoseScores:
    by_training = values.groupby(["subject", "replicate"])["value"].mean()
    return DoseScores(
        **names,
        by_subject=by_training.groupby(level="subject").mean(),
        n_slices=len(values[["subject", "key"]].drop_duplicates()),
        n_replicates=values["replicate"].nunique(),
        lineage={name: values[name].iloc[0] for name in LINEAGE},
    )


def dose_rows(scores: Sequence[DoseScores], *, plan: DosePlan) -> Iterator[DoseRow]:
    """One row for each of ``scores``, in their order."""
    own = {(*each.curve, each.setting): each for each in scores if each.trained_on == each.setting}
    for each in scores:
        amount = plan.of(each.dataset)[each.setting]
        low, high = ends(t_interval(each.by_subject.to_numpy(), confidence=plan.confidence))
        row: dict[str, Any] = {**each.names, **each.lineage}
        at_own_dose = own.get((*each.curve, each.setting))
        if each.trained_on not in (OWN_DOSE, each.setting) and at_own_dose:
            row |= _difference(each.by_subject - at_own_dose.by_subject, plan)
        yield DoseRow(
            **row,
            fraction=amount.fraction,
            way=amount.way,
            mean=float(each.by_subject.mean()),
            ci_low=low,
            ci_high=high,
            n_subjects=len(each.by_subject),
            n_slices=each.n_slices,
            n_replicates=each.n_replicates,
        )


def _difference(by_subject: pd.Series, plan: DosePlan) -> dict[str, float | None]:
    low, high = ends(t_interval(by_subject.to_numpy(), confidence=plan.confidence))
    return {
        "difference": float(by_subject.mean()),
        "difference_ci_low": low,
        "difference_ci_high": high,
    }


def _order(scores: DoseScores, plan: DosePlan) -> tuple[Any, ...]:
    """Methods as configured, doses from the lowest."""
    settings = list(plan.of(scores.dataset))
    return (
        plan.datasets.index(scores.dataset),
        plan.methods.index(scores.method),
        scores.learning,
        scores.estimate != "single",
        scores.estimate,
        scores.trained_on != OWN_DOSE,
        settings.index(scores.trained_on) if scores.trained_on in settings else -1,
        settings.index(scores.setting),
        list(HEADLINES).index(scores.headline),
    )
