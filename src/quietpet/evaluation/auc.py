"""Area under the ROC curve with its covariance between tests that rate the same cases.

Two halves of the cases, each rated by an observer that the other half trained, are put together
without claiming that they are independent.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.optimize import brentq
from scipy.special import expit, logit, ndtr, ndtri
from scipy.stats import rankdata

from quietpet.errors import InputError

LEAST_CASES = 2
"""Of fewer cases with or without a signal no variance can be estimated."""

LEAST_WRONG = 5.0
"""Of fewer cases on the wrong side, on average, normal theory says little (as of a proportion)."""

_NEAR = 1e-9

Interval = tuple[float, float]


@dataclass(frozen=True, kw_only=True, eq=False)
class Areas:
    """Areas under the ROC curves of several tests (test,), and their ``covariance`` (test, test)."""

    auc: np.ndarray
    covariance: np.ndarray
    n_present: int
    n_absent: int


@dataclass(frozen=True, kw_only=True)
class Estimate:
    """One number and the variance of its estimate."""

    value: float
    variance: float

    @property
    def standard_error(self) -> float:
        """Square root of the variance."""
        return float(np.sqrt(self.variance))


def delong(present: np.ndarray, absent: np.ndarray) -> Areas:
    """Areas and their covariance from ratings (test, case) of cases with and without a signal.

    DeLong, DeLong and Clarke-Pearson, Biometrics 1988;44:837, from midranks as Sun and Xu, IEEE Signal
    Process Lett 2014;21:1389: the share of the cases of the other class that a case is rated above, ties
    counting half, is (its rank among all - its rank in its class) / n. Columns are cases: all tests rate
    the same ones, and those of one column may depend on each other.

    Raises:
        InputError: fewer than two cases of a class.
    """
    n_present, n_absent = present.shape[-1], absent.shape[-1]
    if min(n_present, n_absent) < LEAST_CASES:
        raise InputError(
            f"an area under the ROC curve needs {LEAST_CASES} cases with and without a signal, got "
            f"{n_present} and {n_absent}."
        )
    of_all = rankdata(np.concatenate([present, absent], axis=-1), axis=-1)
    above_absent = (of_all[:, :n_present] - rankdata(present, axis=-1)) / n_absent
    below_present = 1.0 - (of_all[:, n_present:] - rankdata(absent, axis=-1)) / n_present
    return Areas(
        auc=above_absent.mean(axis=-1),
        covariance=_covariance(above_absent) / n_present + _covariance(below_present) / n_absent,
        n_present=n_present,
        n_absent=n_absent,
    )


def weighted(areas: Areas, weights: np.ndarray) -> Estimate:
    """The sum of ``weights`` (test,) times the areas: a mean of tests, or a difference of two means."""
    variance = float(weights @ areas.covariance @ weights)
    return Estimate(value=float(weights @ areas.auc), variance=max(variance, 0.0))


def mean_of_dependent(estimates: Sequence[Estimate]) -> Estimate:
    """Mean of estimates that may go together: variance (mean of the standard errors)^2, its largest.

    So are the areas of two halves, each rated by an observer that the other half trained: without a
    signal, what one half finds by chance is the template that rates the other half, and both err to the
    same side. So are those of lesion sets that are compared with the same images without lesions.
    """
    spread = float(np.mean([each.standard_error for each in estimates]))
    return Estimate(value=float(np.mean([each.value for each in estimates])), variance=spread**2)


def mean_of_independent(estimates: Sequence[Estimate]) -> Estimate:
    """Mean of estimates from images that share no noise."""
    return Estimate(
        value=float(np.mean([each.value for each in estimates])),
        variance=float(np.sum([each.variance for each in estimates])) / len(estimates) ** 2,
    )


def area_interval(area: Estimate, *, n_present: int, n_absent: int, confidence: float) -> Interval:
    """Interval of an area, inside [0, 1].

    On the logit scale (Qin and Hotilovac, Stat Methods Med Res 2008;17:207: it covers better than the
    plain one where areas are high), with the variance of :func:`delong`. Where so few cases are on the
    wrong side that this variance means little, it is that of :func:`score_interval`.
    """
    wrong = min(area.value, 1.0 - area.value) * min(n_present, n_absent)
    if wrong < LEAST_WRONG or area.variance == 0:
        return score_interval(area.value, n_present, n_absent, confidence=confidence)
    reach = ndtri(0.5 + confidence / 2.0) * area.standard_error / (area.value * (1.0 - area.value))
    centre = logit(area.value)
    return float(expit(centre - reach)), float(expit(centre + reach))


def score_interval(area: float, n_present: int, n_absent: int, *, confidence: float) -> Interval:
    """Interval of all areas A under which ``area`` is within z standard errors.

    Newcombe, Stat Med 2006;25:559, method 5: the variance of Hanley and McNeil, Radiology 1982;143:29,
    at A, with (m + n) / 2 - 1 in place of m - 1 and n - 1. It does not vanish where all are told apart.
    """
    z, cases = float(ndtri(0.5 + confidence / 2.0)), (n_present + n_absent) / 2.0 - 1.0

    def variance(a: float) -> float:
        factor = 1.0 + cases * ((1.0 - a) / (2.0 - a) + a / (1.0 + a))
        return a * (1.0 - a) * factor / (n_present * n_absent)

    def outside(a: float) -> float:
        return (a - area) ** 2 - z**2 * variance(a)

    # Areas of 0 and 1 are roots themselves, where no variance is left; the end sought is the other one.
    inside = float(np.clip(area, _NEAR, 1.0 - _NEAR))
    low = brentq(outside, 0.0, inside) if outside(inside) < 0 < outside(0.0) else 0.0
    high = brentq(outside, inside, 1.0) if outside(inside) < 0 < outside(1.0) else 1.0
    return float(low), float(high)


def difference_interval(
    first: Estimate, second: Estimate, difference: Estimate, intervals: tuple[Interval, Interval]
) -> Interval:
    """Interval of ``first`` - ``second`` from the ``intervals`` of the two.

    Zou and Donner, Stat Med 2008;27:1693 (MOVER): the reach to each side is sqrt(a^2 + b^2 - 2 r a b),
    a and b those of the two areas to that side and r their correlation, here DeLong's. It stays an
    interval where one method, or both, tell all cases apart.
    """
    r = _correlation(first, second, difference)
    (low1, high1), (low2, high2) = intervals

    def reach(a: float, b: float) -> float:
        return float(np.sqrt(max(a**2 + b**2 - 2.0 * r * a * b, 0.0)))

    return (
        difference.value - reach(first.value - low1, high2 - second.value),
        difference.value + reach(high1 - first.value, second.value - low2),
    )


_ROUNDING = 1e-15
"""Variance of equal ratings at most; where one pair of 1000 x 1000 cases differs it is 1e-12."""


def two_sided_p(difference: Estimate) -> float | None:
    """Probability of a difference this large without one; None without variance."""
    if difference.variance <= _ROUNDING:
        return None
    return float(2.0 * ndtr(-abs(difference.value) / difference.standard_error))


def gaussian_area(detectability: float | np.ndarray) -> np.ndarray:
    """AUC = Phi(d' / sqrt 2) of ratings that are Gaussian with one variance (Barrett and Myers 2004)."""
    return ndtr(np.asarray(detectability) / np.sqrt(2.0))


def _correlation(first: Estimate, second: Estimate, difference: Estimate) -> float:
    product = first.standard_error * second.standard_error
    if product == 0:
        return 0.0
    covariance = (first.variance + second.variance - difference.variance) / 2.0
    return float(np.clip(covariance / product, -1.0, 1.0))


def _covariance(shares: np.ndarray) -> np.ndarray:
    centred = shares - shares.mean(axis=-1, keepdims=True)
    return centred @ centred.T / (shares.shape[-1] - 1)
