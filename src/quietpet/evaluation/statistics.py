"""Statistics of per-slice metric values: over slices, over subjects, over training replicates."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import Self

import numpy as np
import pandas as pd
from scipy.special import stdtrit

from quietpet.errors import InputError

Interval = tuple[float, float]


@dataclass(frozen=True, kw_only=True)
class Summary:
    """What a table row says about one metric; None where it cannot be estimated.

    ``mean`` and ``std``: mean and standard deviation over slices, as the published tables give them.
    ``subject_mean``: mean of the subjects' means, which is ``mean`` where all have as many slices, and
    ``ci_low``, ``ci_high`` its interval. ``seed_std``: standard deviation, over trainings from different
    seeds, of ``mean``. ``subject_std``, ``training_std``, ``residual_std``: see :class:`Components`.
    All standard deviations divide by n - 1.
    """

    mean: float
    std: float | None
    subject_mean: float
    ci_low: float | None
    ci_high: float | None
    seed_std: float | None
    subject_std: float | None
    training_std: float | None
    residual_std: float | None
    n_subjects: int
    n_slices: int
    n_replicates: int


@dataclass(frozen=True, kw_only=True, eq=False)
class SliceValues:
    """One metric of one method: ``values`` (slice, training), and the subject and key of each slice.

    Slices are sorted by subject and key.
    """

    subjects: np.ndarray
    keys: np.ndarray
    values: np.ndarray

    @classmethod
    def from_scores(cls, scores: pd.DataFrame) -> Self:
        """From columns ``subject``, ``key``, ``replicate`` and ``value``, no NaN, in any order.

        Raises:
            InputError: trainings were scored on different slices.
        """
        columns = ("subject", "key", "replicate")
        names = [scores[name].to_numpy(dtype=str) for name in columns]
        order = np.lexsort(names[::-1])
        subjects, keys, replicates = (each[order] for each in names)
        trainings = np.unique(replicates)
        slices, rest = divmod(len(order), len(trainings))
        shape = (slices, len(trainings))
        if rest or any((each[:: shape[1]] != each.reshape(shape).T).any() for each in (subjects, keys)):
            raise _different_slices(subjects, keys, len(trainings))
        first = slice(None, None, len(trainings))
        values = scores["value"].to_numpy(dtype=float)[order].reshape(shape)
        return cls(subjects=subjects[first], keys=keys[first], values=values)

    @functools.cached_property
    def names(self) -> np.ndarray:
        """The subjects, each once."""
        return np.unique(self.subjects)

    @functools.cached_property
    def by_subject(self) -> np.ndarray:
        """Mean over the slices of each subject, whatever their number, (subject, training)."""
        _, starts, counts = np.unique(self.subjects, return_index=True, return_counts=True)
        return np.add.reduceat(self.values, starts, axis=0) / counts[:, None]

    @property
    def by_slice(self) -> np.ndarray:
        """Mean over trainings, (slice,)."""
        return self.values.mean(axis=1)

    def where(self, chosen: np.ndarray) -> SliceValues:
        """The chosen slices, boolean (slice,)."""
        return SliceValues(
            subjects=self.subjects[chosen], keys=self.keys[chosen], values=self.values[chosen]
        )

    def with_slices_of(self, other: SliceValues) -> tuple[SliceValues, SliceValues]:
        """Both, of the slices that both have."""
        if np.array_equal(self.subjects, other.subjects) and np.array_equal(self.keys, other.keys):
            return self, other
        own, others = ([*zip(each.subjects, each.keys, strict=True)] for each in (self, other))
        common = {*own} & {*others}
        return (
            self.where(np.array([each in common for each in own])),
            other.where(np.array([each in common for each in others])),
        )


def _different_slices(subjects: np.ndarray, keys: np.ndarray, trainings: int) -> InputError:
    found, counts = np.unique(np.stack([subjects, keys]), axis=1, return_counts=True)
    subject, key = found[:, counts != trainings][:, 0]
    return InputError(
        f"replicates were scored on different slices: slice {str(key)!r} of subject {str(subject)!r} is "
        "missing in some. Make the older scores again."
    )


def summarise(found: SliceValues, *, confidence: float) -> Summary:
    """Summary of one metric of one method."""
    of_subjects = found.by_subject.mean(axis=1)
    low, high = ends(t_interval(of_subjects, confidence=confidence))
    components = variance_components(found.by_subject)
    return Summary(
        mean=float(found.by_slice.mean()),
        std=sample_std(found.by_slice),
        subject_mean=float(of_subjects.mean()),
        ci_low=low,
        ci_high=high,
        seed_std=sample_std(found.values.mean(axis=0)),
        subject_std=components.subject_std if components else None,
        training_std=components.training_std if components else None,
        residual_std=components.residual_std if components else None,
        n_subjects=len(of_subjects),
        n_slices=len(found.values),
        n_replicates=found.values.shape[1],
    )


def sample_std(values: np.ndarray) -> float | None:
    """Standard deviation dividing by n - 1; None for fewer than two values or an infinite one."""
    if len(values) < 2 or not np.isfinite(values).all():
        return None
    return float(np.std(values, ddof=1))


def t_interval(values: np.ndarray, *, confidence: float) -> Interval | None:
    """Student's interval of the mean of ``values`` (subject,), mean +- t s / sqrt(n), n - 1 degrees.

    Slices of a subject share its anatomy, so each subject is one value, the mean of its slices, whatever
    their number: the variance of an unweighted mean of independent values is estimated without bias by
    s^2 / n even where the values differ in precision, as those of subjects with few slices do. Of 3, 5
    and 10 subjects it covers 0.95 for 0.95, where a percentile bootstrap of subjects covers 0.74, 0.84
    and 0.89. Up to 20 subjects BCa covers less, too; the studentised bootstrap covers a point more where
    values are skewed, but is half as wide again with five subjects, and endless with three. It knows no
    limits of a metric: of few subjects it may reach above an SSIM of 1. None for a single subject, or
    where a value is infinite.
    """
    spread = sample_std(values)
    if spread is None:
        return None
    mean = float(np.mean(values))
    reach = float(stdtrit(len(values) - 1, (1 + confidence) / 2)) * spread / np.sqrt(len(values))
    return float(mean - reach), float(mean + reach)


def ends(interval: Interval | None) -> tuple[float, float] | tuple[None, None]:
    """Both ends of an interval, for two cells of a table."""
    return interval or (None, None)


@dataclass(frozen=True, kw_only=True)
class Components:
    """Standard deviations of what makes values of subjects and trainings differ.

    Of y_ij = mean + subject_i + training_j + residual_ij: how far subjects, trainings from other seeds,
    and trainings in a subject of their own differ.
    """

    subject_std: float
    training_std: float
    residual_std: float


def variance_components(values: np.ndarray) -> Components | None:
    """Components of variance of ``values`` (subject, training), both random, each pair measured once.

    Two-way analysis of variance (Searle, Casella and McCulloch, Variance Components 1992, sec. 4.4):
    with the mean squares of n subjects and r trainings E MS_subject = r s_subject^2 + s_residual^2 and
    E MS_training = n s_training^2 + s_residual^2. A negative estimate of a variance counts as 0. None
    with fewer than two subjects or trainings, or an infinite value.
    """
    n, r = values.shape
    if min(n, r) < 2 or not np.isfinite(values).all():
        return None
    of_subjects, of_trainings = values.mean(axis=1), values.mean(axis=0)
    residuals = values - of_subjects[:, None] - of_trainings[None, :] + values.mean()
    residual = float(np.sum(residuals**2)) / ((n - 1) * (r - 1))
    subject = float(np.var(of_subjects, ddof=1)) - residual / r
    training = float(np.var(of_trainings, ddof=1)) - residual / n
    return Components(
        subject_std=max(subject, 0.0) ** 0.5,
        training_std=max(training, 0.0) ** 0.5,
        residual_std=residual**0.5,
    )
