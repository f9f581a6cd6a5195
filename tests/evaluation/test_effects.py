"""Effect sizes and limits of agreement against worked numbers, closed forms and normal theory."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from quietpet.evaluation.effects import (
    Groups,
    agreement,
    change_of_effect,
    cohens_d,
    difference_interval,
    effect_interval,
    gap_of_errors,
    hedges_factor,
)


def groups(healthy: list[float], diseased: list[float]) -> Groups:
    return Groups(healthy=np.array(healthy, float), diseased=np.array(diseased, float))


def drawn(rng: np.random.Generator, n: int, *, before: float, after: float, r: float) -> np.ndarray:
    """(measurement, group, subject): d of the population ``before`` and ``after``, correlation ``r``."""
    values = rng.multivariate_normal([0, 0], [[1, r], [r, 1]], size=(2, n))
    values[1] += (before, after)
    return values.transpose(2, 0, 1)


def test_d_and_g_by_hand() -> None:
    # Means 5 and 2; sums of squares 2 and 10 of 3 and 5 subjects: s^2 = 12 / 6.
    found = groups([4, 5, 6], [0, 1, 2, 3, 4])
    assert found.freedom == 6
    assert cohens_d(found) == pytest.approx(-3 / np.sqrt(2))
    # Gamma(3) / (sqrt(3) Gamma(2.5)), Gamma(2.5) = 3 sqrt(pi) / 4.
    assert hedges_factor(6) == pytest.approx(2 / (np.sqrt(3) * 0.75 * np.sqrt(np.pi)))
    assert hedges_factor(6) == pytest.approx(1 - 3 / (4 * 6 - 1), abs=2e-3)
    assert hedges_factor(1000) == pytest.approx(1, abs=1e-3)


def test_d_is_the_t_statistic_without_the_sizes() -> None:
    rng = np.random.default_rng(1)
    healthy, diseased = rng.normal(5, 2, 7), rng.normal(3, 2, 12)
    statistic = stats.ttest_ind(diseased, healthy).statistic
    found = cohens_d(Groups(healthy=healthy, diseased=diseased))
    assert found == pytest.approx(statistic * np.sqrt(1 / 7 + 1 / 12))


def test_hedges_factor_takes_the_bias_off() -> None:
    rng = np.random.default_rng(2)
    healthy, diseased = drawn(rng, 3 * 20000, before=-2, after=0, r=0)[0].reshape(2, 20000, 3)
    pooled = np.sqrt((healthy.var(axis=1, ddof=1) + diseased.var(axis=1, ddof=1)) / 2)
    d = (diseased.mean(axis=1) - healthy.mean(axis=1)) / pooled
    assert d.mean() < -2.4
    assert hedges_factor(4) * d.mean() == pytest.approx(-2, abs=0.04)


@pytest.mark.parametrize("shift", [0, -1, 40])
def test_the_interval_ends_where_the_found_d_is_in_a_tail(shift: float) -> None:
    found = groups([4, 5, 6], [shift + each for each in (3, 5, 5.5, 7)])
    low, high = effect_interval(found, confidence=0.9)
    root = np.sqrt(1 / 3 + 1 / 4)
    t = cohens_d(found) / root
    assert low < cohens_d(found) < high
    assert stats.nct.sf(t, 5, low / root) == pytest.approx(0.05, abs=1e-6)
    assert stats.nct.cdf(t, 5, high / root) == pytest.approx(0.05, abs=1e-6)


def test_the_interval_excludes_0_just_where_the_t_test_does() -> None:
    rng = np.random.default_rng(3)
    for _ in range(30):
        healthy, diseased = rng.normal(size=4), rng.normal(1.5, size=4)
        found = Groups(healthy=healthy, diseased=diseased)
        low, high = effect_interval(found, confidence=0.95)
        assert (low > 0 or high < 0) == (stats.ttest_ind(healthy, diseased).pvalue < 0.05)


def leaves_0_out(interval) -> bool:
    return interval[0] > 0 or interval[1] < 0


@pytest.mark.parametrize(
    ("sizes", "spreads", "of_d"),
    [((10, 3), (1, 3), 0.75), ((3, 10), (3, 1), 0.75), ((10, 3), (3, 1), 0.99), ((6, 6), (1, 3), 0.93)],
)
def test_welchs_interval_covers_what_that_of_d_does_not_in_groups_of_unequal_size(sizes, spreads, of_d):
    """Of groups of one mean: 3 subjects of the larger spread beside 10 others are the worst."""
    rng = np.random.default_rng(11)
    covered = np.zeros(2)
    for _ in range(1000):
        healthy, diseased = (rng.normal(5, s, n) for s, n in zip(spreads, sizes, strict=True))
        found = Groups(healthy=healthy, diseased=diseased)
        covered[0] += not leaves_0_out(difference_interval(found, confidence=0.95))
        # 0 is in the interval of d just where the t-test says so.
        covered[1] += stats.ttest_ind(healthy, diseased).pvalue > 0.05
    welch, pooled = covered / 1000
    assert 0.92 < welch < 0.97
    assert pooled == pytest.approx(of_d, abs=0.03)


def test_the_interval_of_a_difference_is_welchs() -> None:
    rng = np.random.default_rng(12)
    healthy, diseased = rng.normal(5, 1, 10), rng.normal(3, 3, 3)
    found = difference_interval(Groups(healthy=healthy, diseased=diseased), confidence=0.9)
    welch = stats.ttest_ind(diseased, healthy, equal_var=False).confidence_interval(0.9)
    assert found == pytest.approx((welch.low, welch.high))
    assert difference_interval(groups([1, 1, 1], [2, 2, 2]), confidence=0.9) == (1, 1)
    assert difference_interval(groups([1, 2], [2, 3, 4]), confidence=0.9) is None


@pytest.mark.parametrize(("n", "d"), [(3, -2.0), (3, 0.0), (8, -1.0)])
def test_the_interval_covers_the_population(n: int, d: float) -> None:
    rng = np.random.default_rng(4)
    found = [drawn(rng, n, before=d, after=0, r=0)[0] for _ in range(300)]
    intervals = [
        effect_interval(Groups(healthy=healthy, diseased=diseased), confidence=0.9)
        for healthy, diseased in found
    ]
    covered = np.mean([low < d < high for low, high in intervals])
    assert covered == pytest.approx(0.9, abs=3 * np.sqrt(0.09 / 300))


@pytest.mark.parametrize("d", [300, -3000, 1e5])
def test_of_endless_effects_the_spread_alone_is_uncertain(d: float) -> None:
    """The population's spread is that of the groups over a chi of 4 degrees of freedom."""
    spread = np.array([-1e-5, 0, 1e-5])
    found = Groups(healthy=1 + spread, diseased=1 + d * 1e-5 + spread)
    chi = np.sqrt(stats.chi2.ppf([0.025, 0.975], 4) / 4)
    expected = sorted(d * chi)
    assert effect_interval(found, confidence=0.95) == pytest.approx(expected, rel=1e-3)


@pytest.mark.parametrize(
    ("healthy", "diseased", "d"),
    [
        ([1, 1, 1], [1, 1, 1], 0.0),
        ([1, 1, 1 + 1e-8], [1, 1 - 1e-8, 1], 0.0),  # float32 resolves neither
        ([1, 1, 1], [2, 2, 2], None),
        ([1, 2, 3], [3, 2, 1], 0.0),
        ([1], [2, 3, 4], None),
    ],
)
def test_groups_without_spread_or_difference(healthy, diseased, d) -> None:
    assert cohens_d(groups(healthy, diseased)) == d


def test_two_subjects_are_not_tested() -> None:
    two = groups([4, 5], [1, 2, 3])
    assert cohens_d(two) is not None
    assert effect_interval(two, confidence=0.95) is None
    assert change_of_effect(two, two, confidence=0.95) is None
    found = agreement(np.array([1.0, 3.0]), confidence=0.95)
    assert (found.mean, found.mean_interval, found.lower, found.upper) == (2.0, None, None, None)


def test_an_effect_does_not_change_by_itself() -> None:
    found = groups([4, 5, 6.1], [1, 2, 3.7])
    change = change_of_effect(found, found, confidence=0.95)
    assert (change.value, change.low, change.high) == (0, 0, 0)


def test_the_interval_of_a_change_by_hand() -> None:
    # d is 3 and 1, all variances 1, all covariances 1/2: those of z1 - z2 are 1.
    before, after = groups([-1, 0, 1], [2, 3, 4]), groups([0, -1, 1], [1, 0, 2])
    change = change_of_effect(after, before, confidence=0.95)
    variance = 2 * (1 / 3 + 2 / (2 * 16) * (1 + 9 - 2 * 3 / 4))
    assert change.value == pytest.approx(-2)
    assert change.high + 2 == pytest.approx(stats.t.ppf(0.975, 4) * np.sqrt(variance))
    assert change.low + 2 == pytest.approx(-(change.high + 2))


def test_an_effect_that_is_lost_is_as_uncertain_as_it_was() -> None:
    """Nothing is left to vary, so the variance is that of d: 1 / n1 + 1 / n2 + d^2 / (2 m)."""
    before, after = groups([-1, 0, 1], [2, 3, 4]), groups([5, 5, 5], [5, 5, 5])
    change = change_of_effect(after, before, confidence=0.95)
    assert change.value == pytest.approx(-3)
    reach = stats.t.ppf(0.975, 4) * np.sqrt(2 / 3 + 9 / 8)
    assert change.high + 3 == pytest.approx(reach)


def test_the_variance_is_that_of_gleser_and_olkin_in_large_groups_of_one_spread() -> None:
    rng = np.random.default_rng(9)
    values = drawn(rng, 20000, before=-2, after=-1, r=0.8)
    before, after = (Groups(healthy=healthy, diseased=diseased) for healthy, diseased in values)
    change = change_of_effect(after, before, confidence=0.95)
    published = 2 * 0.2 * 2 / 20000 + (4 + 1 - 2 * 0.64 * 2) / (2 * 40000)
    assert change.high - change.value == pytest.approx(1.96 * np.sqrt(published), rel=0.03)


@pytest.mark.parametrize(
    ("n", "before", "after", "r", "spreads"),
    [
        (3, -2, -2, 0.9, (1, 1)),
        (3, -3, -1.5, 0.9, (0.5, 1.5)),
        (4, -3, -1.5, 0.5, (1, 1)),
        (6, -3, -3, 0.9, (0.5, 1.5)),
        (6, -1, -1, 0.98, (1, 1)),
    ],
)
def test_the_interval_of_a_change_covers_it(n, before, after, r, spreads) -> None:
    rng = np.random.default_rng(5)
    pooled = np.sqrt(np.mean(np.square(spreads)))
    covered = 0
    for _ in range(300):
        residuals = drawn(rng, n, before=0, after=0, r=r) * np.array(spreads)[:, None]
        one, other = (
            Groups(healthy=healthy, diseased=diseased + shift * pooled)
            for (healthy, diseased), shift in zip(residuals, (before, after), strict=True)
        )
        change = change_of_effect(other, one, confidence=0.95)
        covered += change.low < after - before < change.high
    assert covered / 300 > 0.91


def test_limits_of_agreement_by_hand() -> None:
    # Bland and Altman 1986: mean - 2.12, standard deviation 38.8 l/min, 17 subjects (peak flow meters);
    # approximate intervals of the limits, half widths t sqrt(3 / n) s = 2.12 * 16.3.
    rng = np.random.default_rng(6)
    values = rng.normal(size=17)
    values = -2.12 + 38.8 * (values - values.mean()) / values.std(ddof=1)
    found = agreement(values, confidence=0.95)
    assert found.mean == pytest.approx(-2.12)
    assert found.lower == pytest.approx(-2.12 - 1.96 * 38.8, abs=0.01)
    assert found.upper == pytest.approx(-2.12 + 1.96 * 38.8, abs=0.01)
    half = stats.t.ppf(0.975, 16) * 38.8 / np.sqrt(17)
    assert found.mean_interval == pytest.approx((-2.12 - half, -2.12 + half))
    approximate = 2.12 * np.sqrt(3 / 17) * 38.8
    low, high = found.upper_interval
    assert (high - low) / 2 == pytest.approx(approximate, rel=0.1)
    assert high - found.upper > found.upper - low, "the exact interval is skewed outwards"
    mirrored = agreement(-values, confidence=0.95)
    assert mirrored.lower_interval == pytest.approx((-high, -low))


def test_exact_intervals_of_limits_cover_them() -> None:
    rng = np.random.default_rng(7)
    found = [agreement(each, confidence=0.9) for each in rng.normal(2, 3, (500, 3))]
    expected = [-1.959964 * 3 + 2, 1.959964 * 3 + 2, 2]
    for index, name in enumerate(("lower_interval", "upper_interval", "mean_interval")):
        covered = np.mean(
            [low < expected[index] < high for low, high in (getattr(x, name) for x in found)]
        )
        assert covered == pytest.approx(0.9, abs=3 * np.sqrt(0.09 / 500)), name


def test_equal_differences_have_limits_of_no_width() -> None:
    found = agreement(np.full(4, 5.0), confidence=0.95)
    assert (found.lower, found.upper, found.mean_interval) == (5, 5, (5, 5))


def test_the_gap_is_welchs_of_the_logarithms() -> None:
    rng = np.random.default_rng(10)
    before = Groups(healthy=rng.uniform(1, 2, 4), diseased=rng.uniform(1, 2, 6))
    errors = rng.normal(0.0, 0.02, 4), rng.normal(0.1, 0.06, 6)
    after = Groups(
        healthy=before.healthy * np.exp(errors[0]), diseased=before.diseased * np.exp(errors[1])
    )
    gap = gap_of_errors(after, before, confidence=0.9)
    welch = stats.ttest_ind(errors[1], errors[0], equal_var=False).confidence_interval(0.9)
    assert (gap.low, gap.high) == pytest.approx([100 * np.expm1(each) for each in welch])
    assert gap.value == pytest.approx(100 * np.expm1(errors[1].mean() - errors[0].mean()))


def test_errors_that_both_groups_share_leave_no_gap() -> None:
    before = groups([1, 2, 3], [4, 5, 6, 7])
    for factor in (1, 0.7):
        after = Groups(healthy=factor * before.healthy, diseased=factor * before.diseased)
        gap = gap_of_errors(after, before, confidence=0.95)
        assert (gap.value, gap.low, gap.high) == (0, 0, 0)
    lifted = Groups(healthy=before.healthy, diseased=1.2 * before.diseased)
    gap = gap_of_errors(lifted, before, confidence=0.95)
    assert (gap.value, gap.low, gap.high) == pytest.approx((20, 20, 20))


def test_what_has_no_logarithm_has_no_gap() -> None:
    assert (
        gap_of_errors(groups([1, 2, 0], [1, 2, 3]), groups([1, 2, 3], [1, 2, 3]), confidence=0.9) is None
    )
    assert gap_of_errors(groups([1, 2], [1, 2, 3]), groups([1, 2], [1, 2, 3]), confidence=0.9) is None
