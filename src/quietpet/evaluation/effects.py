"""How far two groups of subjects differ, how far two measurements of one subject agree.

All intervals are of normal theory: a bootstrap of three to ten subjects covers too rarely.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy.optimize import brentq
from scipy.special import chdtri, gammaln, nctdtr, nctdtrit, ndtri, stdtrit

LEAST_SUBJECTS = 3
"""Fewer subjects in a group are not tested."""

RESOLUTION = 1e-6
"""Relative difference that images of float32 (2^-23 = 1.2e-7) do not resolve: no spread, no effect."""

AGREEMENT = 0.95
"""Share of subjects between the limits of agreement."""

_FAR = 1e4
"""From such a t on only the pooled spread is uncertain, and scipy's noncentral t fails."""

Interval = tuple[float, float]


@dataclass(frozen=True, kw_only=True, eq=False)
class Groups:
    """One quantity of the subjects of two groups, arrays (subject,), each in a fixed order."""

    healthy: np.ndarray
    diseased: np.ndarray

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
    def scores(self) -> tuple[np.ndarray, np.ndarray]:
        """What each subject differs from the mean of its group, in pooled standard deviations.

        0 where there is no spread.
        """
        spread = self.pooled_std or np.inf
        healthy, diseased = ((each - each.mean()) / spread for each in (self.healthy, self.diseased))
        return healthy, diseased

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
    1997; Cumming and Finch, Educ Psychol Meas 2001;61:532). Exact for normal groups of one variance. In
    groups of equal size, of which one spreads three times as much as the other, it covers 0.89 to 0.93
    for 0.95. In groups of other sizes it may cover far less, 0.75 where 3 subjects spread three times as
    much as 10 others, so that an effect is shown where :func:`difference_interval` leaves 0 out, too.
    """
    found = cohens_d(groups)
    if found is None or not groups.testable:
        return None
    root = np.sqrt(groups.inverse_size)
    statistic, tail = found / root, (1 - confidence) / 2

    if abs(statistic) > _FAR:
        ends = statistic * np.sqrt(chdtri(groups.freedom, [1 - tail, tail]) / groups.freedom)
        return float(min(ends) * root), float(max(ends) * root)

    def below(noncentrality: float) -> float:
        found = float(nctdtr(groups.freedom, noncentrality, statistic))
        # scipy has NaN far in the tails, where both have other signs.
        return float(noncentrality < statistic) if np.isnan(found) else found

    low = _falling_root(lambda delta: below(delta) - (1 - tail), statistic)
    high = _falling_root(lambda delta: below(delta) - tail, statistic)
    return low * root, high * root


def _falling_root(function: Callable[[float], float], start: float) -> float:
    """Where a falling ``function`` is 0."""
    width = 1.0 + abs(start)
    while function(start - width) < 0 or function(start + width) > 0:
        width *= 2
    return float(brentq(function, start - width, start + width, xtol=1e-9))


def difference_interval(groups: Groups, *, confidence: float) -> Interval | None:
    """Welch's interval of the difference of the means; None where groups are too small to be tested."""
    if not groups.testable:
        return None
    reach = _welch_reach(groups.healthy, groups.diseased, confidence=confidence)
    return groups.difference - reach, groups.difference + reach


def _welch_reach(one: np.ndarray, other: np.ndarray, *, confidence: float) -> float:
    """Half of Welch's interval of a difference of means, of groups that may spread unequally.

    Degrees of freedom of Welch, Biometrika 1947;34:28. 0 where no group spreads.
    """
    parts = [(float(np.var(each, ddof=1)) / len(each), len(each) - 1) for each in (one, other)]
    variance = sum(part for part, _ in parts)
    if variance == 0:
        return 0.0
    freedom = variance**2 / sum(part**2 / less for part, less in parts)
    return float(stdtrit(freedom, (1 + confidence) / 2) * np.sqrt(variance))


@dataclass(frozen=True, kw_only=True)
class Change:
    """What differs between two measurements of the same subjects, and its interval."""

    value: float
    low: float
    high: float


def change_of_effect(after: Groups, before: Groups, *, confidence: float) -> Change | None:
    """How far d ``after`` differs from d ``before``, measured in the same subjects in the same order.

    Its variance by the delta method, of normal groups g whose spreads may differ: with z1 and z2 the
    values in pooled standard deviations and m = n1 + n2 - 2,

        sum_g Var_g(z1 - z2) / n_g
            + (n_g - 1) / (2 m^2) (d1^2 Var_g(z1)^2 + d2^2 Var_g(z2)^2 - 2 d1 d2 Cov_g(z1, z2)^2),

    which for equal spreads and many subjects is that of Gleser and Olkin (in Cooper et al., The Handbook
    of Research Synthesis and Meta-Analysis, 2nd ed. 2009, ch. 19). With the quantile of t of m degrees
    of freedom it covers 0.94 to 1 for 0.95 with 3 to 20 subjects per group, be their spreads equal or as
    1 to 3; a percentile bootstrap of subjects covers 0.83 to 0.92. None where a d is undefined, or
    groups are too small to be tested.
    """
    one, other = cohens_d(after), cohens_d(before)
    if one is None or other is None or not before.testable:
        return None
    variance = 0.0
    for z1, z2 in zip(after.scores, before.scores, strict=True):
        n, covariance = len(z1), np.cov(z1, z2)
        squares = one**2 * covariance[0, 0] ** 2 + other**2 * covariance[1, 1] ** 2
        squares -= 2 * one * other * covariance[0, 1] ** 2
        variance += float(np.var(z1 - z2, ddof=1)) / n
        variance += (n - 1) / (2 * before.freedom**2) * max(float(squares), 0.0)
    reach = float(stdtrit(before.freedom, (1 + confidence) / 2) * np.sqrt(variance))
    return Change(value=one - other, low=one - other - reach, high=one - other + reach)


def gap_of_errors(after: Groups, before: Groups, *, confidence: float) -> Change | None:
    """How much more ``after`` errs in the diseased than in the healthy [% of ``before``].

    Of geometric means of after / before: 0 where both groups err alike, positive where the diseased are
    lifted. It moves the groups nearer to each other or apart even where the spread, and so d, follows.
    The interval is Welch's of the logarithms. None where values are not
    positive, or groups are too small to be tested.
    """
    pairs = ((after.healthy, before.healthy), (after.diseased, before.diseased))
    if not before.testable or any(np.min(each) <= 0 for pair in pairs for each in pair):
        return None
    healthy, diseased = (np.log(found / expected) for found, expected in pairs)
    gap = float(diseased.mean() - healthy.mean())
    gap = gap if abs(gap) > RESOLUTION else 0.0
    error = np.sqrt(sum(float(np.var(each, ddof=1)) / len(each) for each in (healthy, diseased)))
    resolved = error > RESOLUTION
    reach = _welch_reach(healthy, diseased, confidence=confidence) if resolved else 0.0
    value, low, high = (100 * float(np.expm1(each)) for each in (gap, gap - reach, gap + reach))
    return Change(value=value, low=low, high=high)


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
    reach = float(ndtri((1 + AGREEMENT) / 2))
    tails = (1 - confidence) / 2, (1 + confidence) / 2
    near, far = (float(nctdtrit(n - 1, reach * np.sqrt(n), tail)) * error for tail in tails)
    half = float(stdtrit(n - 1, tails[1])) * error
    limit = reach * error * np.sqrt(n)
    return Agreement(
        mean=mean,
        mean_interval=(mean - half, mean + half),
        lower=float(mean - limit),
        lower_interval=(mean - far, mean - near),
        upper=float(mean + limit),
        upper_interval=(mean + near, mean + far),
    )
