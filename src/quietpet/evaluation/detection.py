"""How well model observers find lesions in the images of each method: areas under ROC curves.

All methods restore the same realisations, and all lesions of a slice are in the same images: DeLong's
covariance holds for both. Slices have noise of their own.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from quietpet.errors import InputError
from quietpet.evaluation.auc import (
    Areas,
    Estimate,
    Interval,
    area_interval,
    delong,
    difference_interval,
    mean_of_dependent,
    mean_of_independent,
    two_sided_p,
    weighted,
)
from quietpet.evaluation.effects import LEAST_SUBJECTS
from quietpet.evaluation.one_training import require_one_training
from quietpet.evaluation.paired import UNCLEAR, holm
from quietpet.evaluation.ratings import LESION
from quietpet.evaluation.rows import Row, columns_of
from quietpet.evaluation.statistics import ends, t_interval

RESTORED, STANDARD = "restored", "standard"
"""What images were rated: those of a method, or the standard dose."""

SINGLE = "single"
"""The estimate of methods that draw one sample, and the first sample of others."""

HIGHER, LOWER = "higher area here", "lower area here"
"""Verdicts of one training of each method, in the slices that there are."""

_IMAGES = ["subject", "slice_index", "lesion_set"]
_RUN = ["dataset", "setting", "method", "learning", "replicate"]
_LESION = ["lesion", "radius_mm", "contrast"]


@dataclass(frozen=True, kw_only=True)
class DetectionPlan:
    """``methods`` give the order of rows; ``compare_with`` is the one that others are compared with."""

    methods: tuple[str, ...]
    compare_with: str | None
    confidence: float
    observers: str
    protocol: str


@dataclass(frozen=True, kw_only=True)
class DetectionRow(Row):
    """One row of ``detection.csv``: the mean area over slices and lesions; None is an empty cell.

    ``radius_mm`` is None of all radii together, ``contrast`` where nothing was sought, as a check whose
    area is 0.5. ``standard_error``, ``ci_low`` and ``ci_high`` are of other noise in these slices, read
    by the observers that there are; those over subjects, of three or more, are of other subjects.
    ``difference`` is to ``compared_with``, read in the same images. No column holds what another
    training of a method would change.
    """

    dataset: str
    setting: str
    image: str
    method: str
    learning: str
    replicate: str
    estimate: str
    observer: str
    sought: str
    contrast: float | None
    radius_mm: float | None
    n_subjects: int
    n_slices: int
    n_lesions: int
    n_realisations: int
    auc: float
    standard_error: float
    ci_low: float
    ci_high: float
    subject_ci_low: float | None
    subject_ci_high: float | None
    compared_with: str = ""
    difference: float | None = None
    difference_standard_error: float | None = None
    difference_ci_low: float | None = None
    difference_ci_high: float | None = None
    difference_subject_ci_low: float | None = None
    difference_subject_ci_high: float | None = None
    p: float | None = None
    p_holm: float | None = None
    verdict: str = ""
    observers: str
    protocol: str


DETECTION_COLUMNS = columns_of(DetectionRow)


class Task(NamedTuple):
    """Who looked for what, in which data."""

    dataset: str
    setting: str
    observer: str
    sought: str


class Test(NamedTuple):
    """Which images were read."""

    image: str
    method: str
    learning: str
    replicate: str
    estimate: str


@dataclass(frozen=True, kw_only=True, eq=False)
class _Read:
    """Areas of both halves of the images of one slice with one lesion set.

    Each area is of the test in ``tests`` and the lesion of ``contrast`` and ``radius_mm`` beside it.
    """

    subject: str
    slice_index: int
    tests: tuple[Test, ...]
    contrast: np.ndarray
    radius_mm: np.ndarray
    halves: tuple[Areas, ...]

    @property
    def n_realisations(self) -> int:
        return sum(min(half.n_present, half.n_absent) for half in self.halves)

    def of(self, weights: np.ndarray) -> Estimate:
        return mean_of_dependent([weighted(half, weights) for half in self.halves])

    def weights(self, test: Test, contrast: float | None, radius_mm: float | None) -> np.ndarray:
        """Of the areas, for their mean over the lesions of a kind."""
        chosen = np.array([each == test for each in self.tests])
        if contrast is not None:
            chosen &= self.contrast == contrast
        if radius_mm is not None:
            chosen &= self.radius_mm == radius_mm
        return chosen / max(1, np.count_nonzero(chosen))


def detection_rows(ratings: pd.DataFrame, plan: DetectionPlan) -> list[DetectionRow]:
    """Rows of all data sets, observers, kinds of lesions and images, in this order.

    ``ratings`` has the columns RATING_COLUMNS. Raises InputError where methods were read in different
    images, or one of them comes with several trainings.
    """
    runs = ratings[[*_RUN]].drop_duplicates()
    require_one_training(runs.itertuples(index=False, name="Run"))
    rows: list[DetectionRow] = []
    for names, block in ratings.groupby([*Task._fields], sort=False):
        task = Task(*map(str, names))
        reads = [*_reads(block)]
        tests = sorted(
            {Test(*row) for row in block[[*Test._fields]].itertuples(index=False)}, key=_order(plan)
        )
        for contrast, radius_mm in _kinds(block, task.sought):
            rows += _judged(
                [
                    _row(reads, test, contrast, radius_mm, task=task, tests=tests, plan=plan)
                    for test in tests
                ],
                plan,
            )
    return rows


def _order(plan: DetectionPlan) -> Callable[[Test], Any]:
    places = {name: place for place, name in enumerate(plan.methods)}
    return lambda test: (
        test.image == STANDARD,
        places.get(test.method, len(places)),
        test.method,
        test.learning,
        test.estimate != SINGLE,
        test,
    )


def _kinds(block: pd.DataFrame, sought: str) -> list[tuple[float | None, float | None]]:
    """Contrast and radius of the lesions of each row: all radii of a contrast, then one by one."""
    if sought != LESION:
        return [(None, None)]
    kinds: list[tuple[float | None, float | None]] = []
    for contrast, of_contrast in block.groupby("contrast", sort=False):
        radii = sorted(of_contrast["radius_mm"].unique(), reverse=True)
        kinds += [(float(contrast), None), *((float(contrast), float(radius)) for radius in radii)]
    return kinds


def _reads(block: pd.DataFrame) -> Iterator[_Read]:
    for (subject, slice_index, _), images in block.groupby(_IMAGES, sort=False):
        wide = images.pivot(
            index=[*Test._fields, *_LESION], columns=["half", "present", "case"], values="rating"
        )
        if wide.isna().any(axis=None):
            test = wide.index[wide.isna().any(axis="columns")][0]
            raise InputError(
                f"slice {slice_index} of subject {subject!r}: {test[1] or test[0]} was read in other "
                "realisations than the others. Make the older ratings again."
            )
        yield _Read(
            subject=str(subject),
            slice_index=int(slice_index),
            tests=tuple(Test(*row[: len(Test._fields)]) for row in wide.index),
            contrast=wide.index.get_level_values("contrast").to_numpy(),
            radius_mm=wide.index.get_level_values("radius_mm").to_numpy(),
            halves=tuple(
                delong(
                    *(
                        wide.xs((half, present), axis="columns", level=("half", "present")).to_numpy()
                        for present in (1, 0)
                    )
                )
                for half in sorted(images["half"].unique())
            ),
        )


def _mean(reads: Sequence[_Read], weights: Sequence[np.ndarray]) -> Estimate:
    """Mean over slices; lesion sets of one slice share the images without lesions."""
    by_slice: dict[tuple[str, int], list[Estimate]] = {}
    for read, each in zip(reads, weights, strict=True):
        if np.any(each):
            by_slice.setdefault((read.subject, read.slice_index), []).append(read.of(each))
    return mean_of_independent([mean_of_dependent(estimates) for estimates in by_slice.values()])


def _row(
    reads: Sequence[_Read],
    test: Test,
    contrast: float | None,
    radius_mm: float | None,
    *,
    task: Task,
    tests: Sequence[Test],
    plan: DetectionPlan,
) -> DetectionRow:
    weights = [read.weights(test, contrast, radius_mm) for read in reads]
    seen = [read for read, each in zip(reads, weights, strict=True) if np.any(each)]
    area = _mean(reads, weights)
    low, high = _interval(area, seen, plan)
    subject_low, subject_high = ends(_by_subject(reads, weights, plan, limits=(0.0, 1.0)))
    row = DetectionRow(
        **task._asdict(),
        **test._asdict(),
        contrast=contrast,
        radius_mm=radius_mm,
        n_subjects=len({read.subject for read in seen}),
        n_slices=len({(read.subject, read.slice_index) for read in seen}),
        n_lesions=sum(int(np.count_nonzero(each)) for each in weights),
        n_realisations=min(read.n_realisations for read in seen),
        auc=area.value,
        standard_error=area.standard_error,
        ci_low=low,
        ci_high=high,
        subject_ci_low=subject_low,
        subject_ci_high=subject_high,
        observers=plan.observers,
        protocol=plan.protocol,
    )
    reference = _reference(test, tests, plan)
    if reference is None or test == reference or task.sought != LESION:
        return row
    usual = [read.weights(reference, contrast, radius_mm) for read in reads]
    before = _mean(reads, usual)
    between = [one - other for one, other in zip(weights, usual, strict=True)]
    change = _mean(reads, between)
    subject_low, subject_high = ends(_by_subject(reads, between, plan, limits=(-1.0, 1.0)))
    return replace(
        row,
        **_compared(area, before, change, (low, high), _interval(before, seen, plan), reference),
        difference_subject_ci_low=subject_low,
        difference_subject_ci_high=subject_high,
    )


def _reference(test: Test, tests: Sequence[Test], plan: DetectionPlan) -> Test | None:
    """What ``test`` is compared with: single samples, of the same learning where there is one."""
    usual = [each for each in tests if (each.method, each.estimate) == (plan.compare_with, SINGLE)]
    return min(usual, key=lambda each: each.learning != test.learning, default=None)


def _compared(
    area: Estimate, before: Estimate, change: Estimate, own: Interval, usual: Interval, reference: Test
) -> dict[str, Any]:
    low, high = difference_interval(area, before, change, (own, usual))
    return {
        "compared_with": reference.method,
        "difference": change.value,
        "difference_standard_error": change.standard_error,
        "difference_ci_low": low,
        "difference_ci_high": high,
        "p": two_sided_p(change),
    }


def _interval(area: Estimate, seen: Sequence[_Read], plan: DetectionPlan) -> Interval:
    by_slice = {(read.subject, read.slice_index): read.n_realisations for read in seen}
    images = sum(by_slice.values())
    return area_interval(area, n_present=images, n_absent=images, confidence=plan.confidence)


def _by_subject(
    reads: Sequence[_Read], weights: Sequence[np.ndarray], plan: DetectionPlan, *, limits: Interval
) -> Interval | None:
    """Student's interval of the mean over subjects, inside ``limits``; None of fewer than three.

    Each subject has images, and observers' mean signals, of its own: what differs between subjects holds
    noise, training and anatomy.
    """
    subjects = list(dict.fromkeys(read.subject for read in reads))
    if len(subjects) < LEAST_SUBJECTS:
        return None
    areas = []
    for subject in subjects:
        own = [number for number, read in enumerate(reads) if read.subject == subject]
        if any(np.any(weights[number]) for number in own):
            areas.append(_mean([reads[n] for n in own], [weights[n] for n in own]).value)
    found = (
        t_interval(np.array(areas), confidence=plan.confidence) if len(areas) >= LEAST_SUBJECTS else None
    )
    return (max(found[0], limits[0]), min(found[1], limits[1])) if found else None


def _judged(rows: Sequence[DetectionRow], plan: DetectionPlan) -> list[DetectionRow]:
    """The rows of one kind of lesion, a family of comparisons, with Holm's p and a verdict."""
    corrected = holm([row.p for row in rows])
    return [
        replace(row, p_holm=p, verdict=_verdict(row, p, plan))
        for row, p in zip(rows, corrected, strict=True)
    ]


def _verdict(row: DetectionRow, p_holm: float | None, plan: DetectionPlan) -> str:
    """Higher or lower where the interval leaves 0 out and Holm's p is small."""
    low, high = row.difference_ci_low, row.difference_ci_high
    if row.difference is None or low is None or high is None:
        return ""
    if p_holm is None or p_holm > 1 - plan.confidence or low <= 0 <= high:
        return UNCLEAR
    return HIGHER if row.difference > 0 else LOWER
