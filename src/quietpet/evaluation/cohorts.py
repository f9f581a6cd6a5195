"""Healthy and diseased cohorts: regional bias in each, and the effect between them that survives."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from quietpet.config.comparison import HEAD
from quietpet.data_source import BRAINWEB
from quietpet.evaluation.cohort_checks import require_comparable
from quietpet.evaluation.cohort_rows import (
    ACTIVITY,
    LARGER,
    LOW,
    NO_EFFECT,
    NO_SPREAD,
    RATIO,
    RESTORED,
    REVERSED,
    SMALLER,
    STANDARD,
    TRUTH,
    UNCLEAR,
    UNTESTED,
    BiasRow,
    CohortPlan,
    EffectRow,
)
from quietpet.evaluation.effects import (
    Change,
    Groups,
    Interval,
    agreement,
    change_of_effect,
    cohens_d,
    difference_interval,
    effect_interval,
    gap_of_errors,
    hedges_factor,
)
from quietpet.evaluation.scoring import LINEAGE
from quietpet.evaluation.statistics import sample_std

Cells = Mapping[str, Any]
"""Part of a row, by column."""


class _Profile(NamedTuple):
    """Regional means of one kind of image, tables (subject, region), one for each training."""

    image: str
    method: str
    learning: str
    estimate: str
    replicates: tuple[pd.DataFrame, ...]

    @property
    def names(self) -> dict[str, str]:
        """The columns that say which image it is."""
        return {name: getattr(self, name) for name in ("image", "method", "learning", "estimate")}

    @property
    def mean(self) -> pd.DataFrame:
        """Mean over trainings."""
        first, *others = self.replicates
        return sum(others, first) / len(self.replicates)


class _Cohort(NamedTuple):
    """All kinds of images of one data set at one dose."""

    truth: _Profile | None
    standard: _Profile
    others: tuple[_Profile, ...]

    @property
    def profiles(self) -> tuple[_Profile, ...]:
        """In the order of rows."""
        return (*([self.truth] if self.truth else []), self.standard, *self.others)


def assemble_cohorts(
    regions: pd.DataFrame, *, plan: CohortPlan
) -> tuple[tuple[BiasRow, ...], tuple[EffectRow, ...]]:
    """Rows of both tables, of ``regions`` (columns of a file of regional activity) in any order.

    Raises InputError as :func:`quietpet.evaluation.cohort_checks.require_comparable` does.
    """
    require_comparable(regions, plan)
    names = _region_names(regions)
    lineage: Cells = {column: str(regions[column].iloc[0]) for column in LINEAGE}
    named_heads = lineage["data_source"] == BRAINWEB
    cohorts = {
        (dataset, setting): _cohort(block, names, plan)
        for (dataset, setting), block in sorted(
            regions.groupby(["dataset", "setting"]), key=lambda item: _place(item[0][1], plan.settings)
        )
    }
    bias = [
        BiasRow(cohort=dataset, setting=setting, protocol=plan.protocol, **lineage, **row)
        for dataset in plan.cohorts
        for (name, setting), cohort in cohorts.items()
        if name == dataset
        for row in _bias_rows(cohort, names, plan)
    ]
    effects = [
        EffectRow(
            healthy=plan.healthy, diseased=diseased, setting=setting, reference=plan.reference,
            protocol=plan.protocol, **lineage, **row,
        )
        for diseased in plan.diseased
        for (name, setting), cohort in cohorts.items()
        if name == diseased
        for row in _effect_rows(
            cohorts[plan.healthy, setting], cohort, names, plan, named_heads=named_heads
        )
    ]  # fmt: skip
    return tuple(bias), tuple(effects)


def _cohort(block: pd.DataFrame, names: Sequence[str], plan: CohortPlan) -> _Cohort:
    def table(rows: pd.DataFrame, column: str) -> pd.DataFrame:
        found = rows.pivot(index="subject", columns="region", values=column)
        return found.reindex(columns=list(names)).sort_index().astype(float)

    any_run = block.drop_duplicates(["subject", "region"])
    truth = table(any_run, TRUTH)
    restored = [
        _Profile(
            RESTORED, method, learning, estimate,
            tuple(table(rows, RESTORED) for _, rows in of_method.groupby("replicate")),
        )
        for (method, learning, estimate), of_method in block.groupby(["method", "learning", "estimate"])
    ]  # fmt: skip
    return _Cohort(
        truth=None if truth.isna().all(axis=None) else _unrestored(TRUTH, truth),
        standard=_unrestored(STANDARD, table(any_run, STANDARD)),
        others=(
            _unrestored(LOW, table(any_run, LOW)),
            *sorted(restored, key=lambda profile: _order(profile, plan)),
        ),
    )


def _unrestored(image: str, values: pd.DataFrame) -> _Profile:
    return _Profile(image, "-", "-", "-", (values,))


def _order(profile: _Profile, plan: CohortPlan) -> tuple[int, int, str, bool, str]:
    """Methods as configured, then how they learned, then single samples before means."""
    learned, _ = _place(profile.learning, plan.learned)
    single = profile.estimate != "single"
    return (
        plan.methods.index(profile.method), learned, profile.learning, single, profile.estimate
    )  # fmt: skip


def _place(name: str, order: Sequence[str]) -> tuple[int, str]:
    """Names as in ``order``, others behind them."""
    return (*order, name).index(name), name


def _ratio(values: pd.DataFrame, reference: str) -> pd.DataFrame:
    """Over the reference region of the same subject; undefined where that has no activity."""
    below = values[reference].where(values[reference] > 0)
    return values.drop(columns=reference).div(below, axis="index")


def _bias_rows(cohort: _Cohort, names: Sequence[str], plan: CohortPlan) -> Iterator[Cells]:
    for profile, target in _compared_images(cohort):
        for quantity in (ACTIVITY, RATIO):
            found, expected = profile.mean, target.mean
            if quantity == RATIO:
                found, expected = (_ratio(each, plan.reference) for each in (found, expected))
            percent = 100 * (found / expected.where(expected > 0) - 1)
            for region in (name for name in names if name in percent):
                values = percent[region].dropna().to_numpy()
                if len(values):
                    yield {
                        **profile.names,
                        "region": region,
                        "quantity": quantity,
                        "against": target.image,
                        "n_replicates": len(profile.replicates),
                        **_agreement_cells(values, plan.confidence),
                    }


def _compared_images(cohort: _Cohort) -> Iterator[tuple[_Profile, _Profile]]:
    """Each kind of image with what its bias is against."""
    targets = [each for each in (cohort.standard, cohort.truth) if each]
    for profile in (cohort.standard, *cohort.others):
        yield from ((profile, target) for target in targets if target is not profile)


def _agreement_cells(percent: np.ndarray, confidence: float) -> Cells:
    found = agreement(percent, confidence=confidence)
    intervals = {
        "ci": found.mean_interval,
        "loa_low_ci": found.lower_interval,
        "loa_high_ci": found.upper_interval,
    }
    return {
        "n_subjects": len(percent),
        "mean_percent": found.mean,
        "loa_low": found.lower,
        "loa_high": found.upper,
        "verdict": "" if found.mean_interval else UNTESTED,
        **{key: value for name, pair in intervals.items() for key, value in _ends(name, pair).items()},
    }


def _ends(name: str, interval: Interval | None) -> dict[str, float | None]:
    low, high = interval or (None, None)
    return {f"{name}_low": low, f"{name}_high": high}


def _effect_rows(
    healthy: _Cohort,
    diseased: _Cohort,
    names: Sequence[str],
    plan: CohortPlan,
    *,
    named_heads: bool,
) -> Iterator[Cells]:
    """``named_heads``: whether a subject's name says which head it is."""
    for well, ill in zip(healthy.profiles, diseased.profiles, strict=True):
        tables = [
            _ratio(each.mean, plan.reference)
            for each in (well, ill, healthy.standard, diseased.standard)
        ]
        trainings = [
            [_ratio(each, plan.reference) for each in pair]
            for pair in zip(well.replicates, ill.replicates, strict=True)
        ]
        for region in (name for name in names if name != plan.reference):
            found, standard = _groups([each[region] for each in tables])
            by_seed = [
                cohens_d(_groups([each[region] for each in training])[0])
                for training in (trainings if len(trainings) > 1 else [])
            ]
            yield {
                **well.names,
                "region": region,
                "same_heads": named_heads and bool(well.mean.index.equals(ill.mean.index)),
                "n_replicates": len(trainings),
                "seed_std": sample_std(np.array([each for each in by_seed if each is not None])),
                **_effect_cells(found, standard, well.image, plan.confidence),
            }


def _groups(columns: Sequence[pd.Series]) -> list[Groups]:
    """Pairs (healthy, diseased) as groups, each of the subjects that all columns of its cohort have."""
    joined = [pd.concat(columns[first::2], axis="columns").dropna() for first in (0, 1)]
    return [
        Groups(
            healthy=joined[0].iloc[:, number].to_numpy(),
            diseased=joined[1].iloc[:, number].to_numpy(),
        )
        for number in range(len(columns) // 2)
    ]


def _effect_cells(found: Groups, standard: Groups, image: str, confidence: float) -> Cells:
    d, before = cohens_d(found), cohens_d(standard)
    own, usual = (effect_interval(each, confidence=confidence) for each in (found, standard))
    shown = _shown(standard, usual, confidence)
    reversed_ = shown and _shown(found, own, confidence) and (d or 0.0) * (before or 0.0) < 0
    change = gap = None
    if image != STANDARD:
        gap = gap_of_errors(found, standard, confidence=confidence)
        change = change_of_effect(found, standard, confidence=confidence) if shown else None
    sizes = len(found.healthy), len(found.diseased)
    words = _moved(gap, usual) if gap else UNTESTED, _compared(change, own, usual)
    difference_word, word = (REVERSED, REVERSED) if reversed_ else words
    means = [float(each.mean()) if len(each) else None for each in (found.healthy, found.diseased)]
    return {
        "n_healthy": sizes[0],
        "n_diseased": sizes[1],
        "mean_healthy": means[0],
        "mean_diseased": means[1],
        "difference_percent": 100 * found.difference / means[0] if all(sizes) and means[0] else None,
        **_change_cells("gap_percent", "gap", gap),
        "difference_verdict": _verdict(image, standard, shown, difference_word),
        "cohens_d": d,
        "hedges_g": None if d is None else hedges_factor(found.freedom) * d,
        **_ends("ci", own),
        "share_percent": 100 * d / before + 0.0 if shown and d is not None and before else None,
        **_change_cells("change", "change", change),
        "verdict": _verdict(image, standard, shown, word),
    }


def _shown(groups: Groups, interval: Interval | None, confidence: float) -> bool:
    """Whether ``interval``, that of d, and Welch's of the difference of the means leave 0 out.

    That of d is too narrow where few subjects of the larger spread are compared with many of the
    smaller; Welch's is not. Both are asked at all sizes: there is one rule, whatever slices a subject
    lacks, and in groups of equal size and spread they all but agree.
    """
    means = difference_interval(groups, confidence=confidence)
    return all(each is not None and (each[0] > 0 or each[1] < 0) for each in (interval, means))


def _change_cells(value: str, name: str, change: Change | None) -> Cells:
    interval = (change.low, change.high) if change else None
    return {value: change.value if change else None, **_ends(name, interval)}


def _compared(change: Change | None, own: Interval | None, usual: Interval | None) -> str:
    """Whether d is nearer to 0 than at the standard dose.

    It is where the interval of the change says so, and where the intervals of both d do not overlap: of
    three subjects the former, which is as wide on both sides, may hold 0 when all of an effect is lost.
    """
    if change is None or own is None or usual is None:
        return NO_SPREAD
    apart = Change(value=change.value, low=own[0] - usual[1], high=own[1] - usual[0])
    words = [_moved(each, usual) for each in (change, apart)]
    return next((word for word in words if word != UNCLEAR), UNCLEAR)


def _moved(change: Change, usual: Interval | None) -> str:
    """Where a change takes an effect whose interval at the standard dose is ``usual``."""
    towards_0 = -1 if usual and usual[0] > 0 else 1
    for sign, word in ((towards_0, SMALLER), (-towards_0, LARGER)):
        if min(sign * change.low, sign * change.high) > 0:
            return word
    return UNCLEAR


def _verdict(image: str, standard: Groups, shown: bool, word: str) -> str:
    """``word``, where the standard dose has an effect that can be compared."""
    if not standard.testable:
        return UNTESTED
    if cohens_d(standard) is None:
        return NO_SPREAD
    if not shown:
        return NO_EFFECT
    return "" if image == STANDARD else word


def _region_names(regions: pd.DataFrame) -> list[str]:
    """In the order of their labels, the head last."""
    labels = dict(zip(regions["region"], regions["label"], strict=True))
    return sorted(labels, key=lambda name: (name == HEAD, labels[name]))
