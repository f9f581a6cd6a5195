"""How far two groups of subjects differ, how far two measurements of one subject agree.

All intervals are of normal theory: a bootstrap of three to ten subjects covers too rarely.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy.optimize import brentq
from scipy.special import gammaln
from scipy.stats import nct, norm, t

LEAST_SUBJECTS = 3
"""Fewer subjects in a group are not tested."""

RESOLUTION = 1e-6
"""Relative difference that images of float32 (2^-23 = 1.2e-7) do not resolve: no spread, no effect."""

AGREEMENT = 0.95
"""Share of subjects between the limits of agreement."""

Interval = tuple[float, float]


@dataclass(frozen=True, kw_only=True, eq=False)
class Groups:
    """One quantity of the subjects of two groups, arrays (subject,), each in a fixed order.

    ``paired``: both are the same heads in the same order, as simulations may have them.
    """

    healthy: np.ndarray
    diseased: np.ndarray
    paired: bool = False

    @property
    def units(self) -> tuple[tuple[int, int], ...]:
        """(group, index) of everyone who is drawn independently: a head in both groups is one."""
        both = (self.healthy,) if self.paired else (self.healthy, self.diseased)
        return tuple((group, index) for group, each in enumerate(both) for index in range(len(each)))

    def without(self, unit: tuple[int, int]) -> Groups:
        """The groups without one of :attr:`units`."""
        group, index = unit
        healthy, diseased = (
            np.delete(each, index) if self.paired or group == number else each
            for number, each in enumerate((self.healthy, self.diseased))
        )
        return Groups(healthy=healthy, diseased=diseased, paired=self.paired)

    @property
    def testable(self) -> bool:
        """Whether both groups have enough subjects."""
        return min(len(self.healthy), len(self.diseased)) >= LEAST_SUBJECTS

    @property
    def freedom(self) -> int:
        """Degrees of freedom of the pooled variance."""
        return len(self.healthy) + len(self.diseased) - 2

    @property
    def inverse_size(self) -> float:
        """1 / n1 + 1 / n2, the variance of a difference of means of unit variance."""
        return 1 / len(self.healthy) + 1 / len(self.diseased)

    @property
    def difference(self) -> float:
        """Mean of the diseased minus that of the healthy; 0 where float32 does not resolve it."""
        found = float(self.diseased.mean() - self.healthy.mean())
        return found if abs(found) > RESOLUTION * self._size else 0.0

    @property
    def pooled_std(self) -> float:
        """Standard deviation within groups, sqrt(sum of squares / (n1 + n2 - 2)); 0 below float32."""
        squares = sum(len(each) * float(np.var(each)) for each in (self.healthy, self.diseased))
        found = float(np.sqrt(squares / self.freedom))
        return found if found > RESOLUTION * self._size else 0.0

    @property
    def _size(self) -> float:
        return float(np.abs(np.concatenate([self.healthy, self.diseased])).mean())


def cohens_d(groups: Groups) -> float | None:
    """Difference of the means in pooled standard deviations (Cohen 1988, sec. 2.2).

    0 where the means are equal, even without spread; None where they differ without any, or a group is
    a single subject.
    """
    if min(len(groups.healthy), len(groups.diseased)) < 2:
        return None
    if groups.difference == 0:
        return 0.0
    return groups.difference / groups.pooled_std if groups.pooled_std > 0 else None


def hedges_factor(freedom: int) -> float:
    """J, which takes the bias of small groups off d: g = J d (Hedges, J Educ Stat 1981;6:107)."""
    half = freedom / 2
    return float(np.exp(gammaln(half) - gammaln(half - 0.5)) / np.sqrt(half))


def effect_interval(groups: Groups, *, confidence: float) -> Interval | None:
    """Interval of the population's d; None where d is, or groups are too small to be tested.

    d / sqrt(1 / n1 + 1 / n2) is a noncentral t whose noncentrality is the population's d over the same
    root; the interval holds all d under which the one found is in neither tail (Steiger and Fouladi
    1997; Cumming and Finch, Educ Psychol Meas 2001;61:532). Exact for normal groups of one variance.
    """
    found = cohens_d(groups)
    if found is None or not groups.testable:
        return None
    root = np.sqrt(groups.inverse_size)
    statistic, tail = found / root, (1 - confidence) / 2

    def below(noncentrality: float) -> float:
        return float(nct.cdf(statistic, groups.freedom, noncentrality))

    low = _falling_root(lambda delta: below(delta) - (1 - tail), statistic)
    high = _falling_root(lambda delta: below(delta) - tail, statistic)
    return low * root, high * root


def _falling_root(function: Callable[[float], float], start: float) -> float:
    """Where a falling ``function`` is 0."""
    width = 1.0 + abs(start)
    while function(start - width) < 0 or function(start + width) > 0:
        width *= 2
    return float(brentq(function, start - width, start + width, xtol=1e-9))


@dataclass(frozen=True, kw_only=True)
class Change:
    """d of one measurement minus d of another of the same subjects, and its interval."""

    value: float
    low: float
    high: float


def change_of_effect(after: Groups, before: Groups, *, confidence: float) -> Change | None:
    """How far d ``after`` differs from d ``before``, measured in the same subjects in the same order.

    Its variance is that of the jackknife, sum over groups of (n - 1) / n sum_i (c_i - mean c)^2, c_i
    the change without subject i (Arvesen, Ann Math Stat 1969;40:2076; Efron and Tibshirani 1993, ch.
    11). With the quantile of t of n1 + n2 - 2 degrees of freedom it covers 0.93 to 0.99 for 0.95 with 3
    to 20 subjects per group, be their spreads equal or as 1 to 3; a percentile bootstrap of subjects
    covers 0.83 to 0.92. None where a d is undefined, or groups are too small to be tested.
    """
    if not before.testable:
        return None
    parts = [_change(after.without(one), before.without(one)) for one in before.units]
    found = _change(after, before)
    if found is None or None in parts:
        return None
    changes, group = np.array(parts, dtype=float), np.array([unit[0] for unit in before.units])
    strata = [changes[group == each] for each in np.unique(group)]
    variance = sum((len(each) - 1) * float(np.var(each)) for each in strata)
    freedom = len(changes) - len(strata)
    reach = float(t.ppf((1 + confidence) / 2, freedom) * np.sqrt(variance))
    return Change(value=found, low=found - reach, high=found + reach)


def _change(after: Groups, before: Groups) -> float | None:
    one, other = cohens_d(after), cohens_d(before)
    return None if one is None or other is None else one - other


@dataclass(frozen=True, kw_only=True)
class Agreement:
    """Mean of the differences between two measurements, limits between which 95 % of subjects lie.

    Each with its interval; None where there are too few subjects.
    """

    mean: float
    mean_interval: Interval | None
    lower: float | None
    lower_interval: Interval | None
    upper: float | None
    upper_interval: Interval | None


def agreement(differences: np.ndarray, *, confidence: float) -> Agreement:
    """Limits of agreement, mean +- 1.96 standard deviations (Bland and Altman, Lancet 1986;327:307).

    ``differences`` (subject,). The interval of a limit is exact for normal differences, of the
    noncentral t (Carkeet, Optom Vis Sci 2015;92:e71); that of 1986, sqrt(3 / n) s, is too narrow for
    few subjects.
    """
    n, mean = len(differences), float(np.mean(differences))
    if n < LEAST_SUBJECTS:
        return Agreement(
            mean=mean, mean_interval=None, lower=None, lower_interval=None, upper=None,
            upper_interval=None,
        )  # fmt: skip
    error = float(np.std(differences, ddof=1) / np.sqrt(n))
    reach = float(norm.ppf((1 + AGREEMENT) / 2))
    tails = (1 - confidence) / 2, (1 + confidence) / 2
    near, far = (float(nct.ppf(tail, n - 1, reach * np.sqrt(n))) * error for tail in tails)
    half = float(t.ppf(tails[1], n - 1)) * error
    limit = reach * error * np.sqrt(n)
    return Agreement(
        mean=mean,
        mean_interval=(mean - half, mean + half),
        lower=float(mean - limit),
        lower_interval=(mean - far, mean - near),
        upper=float(mean + limit),
        upper_interval=(mean + near, mean + far),
    )
