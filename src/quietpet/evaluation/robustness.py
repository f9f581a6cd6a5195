"""What a wrong T1 costs each method, and how much of its gain that is.

The gain of a method is what it restores better than the low-dose image itself, with each subject's own
T1. What of it a wrong T1 takes away was not seen in the PET: the method trusted T1 for it, without
asking whether T1 was right. Where more than that is lost than the method is ahead of the best one that
never looks at T1, no MRI would have been better than this one.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from quietpet.config.evaluation import EvaluationSettings
from quietpet.config.robustness import OWN, T1_CONDITIONS
from quietpet.errors import InputError
from quietpet.evaluation.comparison import PAPER, QUANTITATIVE
from quietpet.evaluation.rows import Row, columns_of
from quietpet.evaluation.scoring import LINEAGE, SCORE_COLUMNS
from quietpet.evaluation.statistics import SliceValues, Summary, summarise
from quietpet.evaluation.tables import require_one_lineage, require_same_slices

ROBUSTNESS_SCORE_COLUMNS = ("t1", *SCORE_COLUMNS)
"""Columns of a score file of the step ``robustness``: ``t1`` says which T1 the method was given."""

BETTER = {"psnr_db": 1, "ssim": 1, "nmse": -1}
"""The metrics of the table, and whether more (1) or less (-1) of each is better."""

_VARIANTS = (QUANTITATIVE.name, PAPER.name)
_PLACE = ["dataset", "setting"]
_RUN = [*_PLACE, "method", "learning", "replicate", "estimate", "metric", "variant"]


@dataclass(frozen=True, kw_only=True)
class RobustnessPlan:
    """What the table needs to know of the study.

    ``methods`` are in the order of the tables; ``low_dose`` those of them that are the low-dose image
    itself, ``without_t1`` those that never look at T1.
    """

    methods: Sequence[str]
    low_dose: Sequence[str]
    without_t1: Sequence[str]
    evaluation: EvaluationSettings


@dataclass(frozen=True, kw_only=True)
class RobustnessRow(Row):
    """One method with one T1; the fields are the columns of ``robustness.csv``, None an empty cell.

    ``difference``: mean over slices of the metric with this T1 minus that with the subject's own, and
    the t interval of its mean over subjects. ``gain``: how much better than the low-dose image, counted
    so that positive is better, with the subject's own T1; ``gain_lost_percent`` the part of it that is
    lost with this T1, None where nothing was gained. ``best_without_t1`` is the best of the methods
    that never look at T1, and ``best_without_t1_mean`` what it has.
    """

    dataset: str
    setting: str
    method: str
    learning: str
    replicate: str
    estimate: str
    t1: str
    metric: str
    variant: str
    mean: float
    std: float | None
    ci_low: float | None
    ci_high: float | None
    difference: float | None
    difference_ci_low: float | None
    difference_ci_high: float | None
    gain: float
    gain_lost_percent: float | None
    best_without_t1: str
    best_without_t1_mean: float
    n_subjects: int
    n_slices: int
    data_source: str
    projector: str
    registration: str

    @property
    def no_better_than_without_t1(self) -> bool:
        """Whether the best method that never looks at T1 is as good, or better."""
        return BETTER[self.metric] * (self.mean - self.best_without_t1_mean) <= 0


ROBUSTNESS_COLUMNS = columns_of(RobustnessRow)


def robustness_rows(
    wrong: pd.DataFrame, right: pd.DataFrame, *, plan: RobustnessPlan
) -> tuple[RobustnessRow, ...]:
    """Rows of all methods, in the order of the study.

    ``wrong`` are scores of methods that look at T1, with a column ``t1`` and, among others, those of the
    subjects' own; ``right`` those of methods that never do, with the columns of a score file.

    Raises:
        InputError: methods that the study lacks, or that are in the wrong one of the two; slices scored
            twice, or methods scored on different slices; data of several origins; no scores of the
            low-dose image, of a method with its own T1, or of the data set at all.
    """
    scores = pd.concat([wrong, right.assign(t1=OWN)], ignore_index=True)
    _check_methods(wrong, right, plan)
    require_same_slices(scores, also=["t1"])
    require_one_lineage(scores)
    shown = scores[scores["metric"].isin(BETTER) & scores["variant"].isin(_VARIANTS)]
    rows: list[RobustnessRow] = []
    for place, block in shown.groupby(_PLACE, sort=False):
        rows += _rows_of_setting(dict(zip(_PLACE, place, strict=True)), block, plan)
    return tuple(sorted(rows, key=lambda row: _order(row, plan)))


def _rows_of_setting(
    place: Mapping[str, str], scores: pd.DataFrame, plan: RobustnessPlan
) -> Iterator[RobustnessRow]:
    for (metric, _), block in scores.groupby(["metric", "variant"]):
        low_dose = _mean_of_low_dose(block, place, plan)
        best, best_mean = _best_without_t1(block, metric, plan)
        for _, run in block.groupby(_RUN):
            own = _own_of(run)
            gain = BETTER[metric] * (float(own["value"].mean()) - low_dose)
            for _, values in run.groupby("t1"):
                yield _row(values, own, gain, best, best_mean, plan)


def _row(
    values: pd.DataFrame,
    own: pd.DataFrame,
    gain: float,
    best_without_t1: str,
    best_without_t1_mean: float,
    plan: RobustnessPlan,
) -> RobustnessRow:
    """Of the ``values`` of one metric with one T1, beside those with the subjects' own."""
    first = values.iloc[0]
    named: dict[str, Any] = {name: first[name] for name in (*_RUN, "t1", *LINEAGE)}
    summary, change = _summary(values, plan), _difference(values, own, plan)
    lost = -BETTER[first["metric"]] * change.mean if change else None
    return RobustnessRow(
        **named,
        mean=summary.mean,
        std=summary.std,
        ci_low=summary.ci_low,
        ci_high=summary.ci_high,
        difference=change.mean if change else None,
        difference_ci_low=change.ci_low if change else None,
        difference_ci_high=change.ci_high if change else None,
        gain=gain,
        gain_lost_percent=None if lost is None or gain <= 0 else 100 * lost / gain,
        best_without_t1=best_without_t1,
        best_without_t1_mean=best_without_t1_mean,
        n_subjects=summary.n_subjects,
        n_slices=summary.n_slices,
    )


def _own_of(run: pd.DataFrame) -> pd.DataFrame:
    """The scores of one run of a method with the subjects' own T1."""
    own, first = run[run["t1"] == OWN], run.iloc[0]
    if own.empty:
        raise InputError(
            f"{first['dataset']}/{first['setting']}: {first['method']} was not scored with the "
            "subjects' own T1, to which others are compared. Make its scores again."
        )
    return own


def _difference(values: pd.DataFrame, own: pd.DataFrame, plan: RobustnessPlan) -> Summary | None:
    """Of each slice, what its value is above that with the subject's own T1; None of that itself."""
    if values["t1"].iloc[0] == OWN:
        return None
    by_slice = ["subject", "key"]
    before = own.set_index(by_slice)["value"].rename("own")
    paired = values.join(before, on=by_slice)
    return _summary(paired.assign(value=paired["value"] - paired["own"]), plan)


def _summary(values: pd.DataFrame, plan: RobustnessPlan) -> Summary:
    return summarise(SliceValues.from_scores(values), confidence=plan.evaluation.confidence)


def _mean_of_low_dose(block: pd.DataFrame, place: Mapping[str, str], plan: RobustnessPlan) -> float:
    """Mean of the low-dose image itself, from which gains are counted."""
    found = block[block["method"].isin(plan.low_dose)]
    if found.empty:
        raise InputError(
            f"{place['dataset']}/{place['setting']}: no scores of the low-dose image itself, from "
            "which gains are counted. Add lpet: {} to methods."
        )
    return float(found["value"].mean())


def _best_without_t1(block: pd.DataFrame, metric: str, plan: RobustnessPlan) -> tuple[str, float]:
    """The best of the methods that never look at T1, and its mean."""
    free = block[block["method"].isin(plan.without_t1)]
    means = free.groupby([*_RUN[2:6]], sort=False)["value"].mean()
    best = (BETTER[metric] * means).idxmax()
    return best[0], float(means[best])


def _order(row: RobustnessRow, plan: RobustnessPlan) -> tuple[Any, ...]:
    return (
        row.dataset,
        row.setting,
        list(plan.methods).index(row.method),
        row.learning,
        row.replicate,
        row.estimate != "single",
        row.estimate,
        T1_CONDITIONS.index(row.t1),
        _VARIANTS.index(row.variant),
        list(BETTER).index(row.metric),
    )


def _check_methods(wrong: pd.DataFrame, right: pd.DataFrame, plan: RobustnessPlan) -> None:
    looking = [name for name in plan.methods if name not in plan.without_t1]
    for scores, known, what in (
        (wrong, looking, "that looks at T1"),
        (right, plan.without_t1, "that never looks at T1"),
    ):
        if unknown := sorted(set(scores["method"]) - set(known)):
            raise InputError(
                f"scores of {unknown[0]!r}, which is no method {what}; those are {', '.join(known)}. "
                "Leave those scores out."
            )
    if unknown := sorted(set(wrong["t1"]) - set(T1_CONDITIONS)):
        raise InputError(
            f"scores with the T1 {unknown[0]!r}; known: {', '.join(T1_CONDITIONS)}. "
            "Leave those scores out."
        )
