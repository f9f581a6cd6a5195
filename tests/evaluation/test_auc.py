"""Areas under ROC curves against a published example, the definition, and known areas."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.integrate import quad
from scipy.stats import norm

from quietpet.errors import InputError
from quietpet.evaluation.auc import (
    Estimate,
    area_interval,
    delong,
    difference_interval,
    gaussian_area,
    mean_of_dependent,
    mean_of_independent,
    score_interval,
    two_sided_p,
    weighted,
)

# Albumin, total protein and K-G score of 43 patients with ovarian cancer; 1: surgery was of benefit.
# DeLong et al. 1988, as in example 60.8 of the SAS/STAT 12.1 user's guide, which prints the areas below.
PATIENTS = """
3.0 5.8 10 0  3.2 6.3 5 1  3.9 6.8 3 1  2.8 4.8 6 0  3.2 5.8 3 1  0.9 4.0 5 0  2.5 5.7 8 0  1.6 5.6 5 1
3.8 5.7 5 1  3.7 6.7 6 1  3.2 5.4 4 1  3.8 6.6 6 1  4.1 6.6 5 1  3.6 5.7 5 1  4.3 7.0 4 1  3.6 6.7 4 0
2.3 4.4 6 1  4.2 7.6 4 0  4.0 6.6 6 0  3.5 5.8 6 1  3.8 6.8 7 1  3.0 4.7 8 0  4.5 7.4 5 1  3.7 7.4 5 1
3.1 6.6 6 1  4.1 8.2 6 1  4.3 7.0 5 1  4.3 6.5 4 1  3.2 5.1 5 1  2.6 4.7 6 1  3.3 6.8 6 0  1.7 4.0 7 0
3.7 6.1 5 1  3.3 6.3 7 1  4.2 7.7 6 1  3.5 6.2 5 1  2.9 5.7 9 0  2.1 4.8 7 1  2.8 6.2 8 0  4.0 7.0 7 1
3.3 5.7 6 1  3.7 6.9 5 1  3.6 6.6 5 1
"""


def test_a_published_example_of_three_tests_of_the_same_patients() -> None:
    albumin, protein, score, benefit = np.array(PATIENTS.split(), dtype=float).reshape(-1, 4).T
    ratings = np.stack([-albumin, score, -protein])
    areas = delong(ratings[:, benefit == 0], ratings[:, benefit == 1])
    assert areas.auc == pytest.approx([0.7366, 0.7258, 0.6478], abs=5e-5)
    assert np.sqrt(np.diag(areas.covariance)) == pytest.approx([0.0927, 0.1028, 0.1000], abs=5e-5)
    for weights, value, error in (([1, -1, 0], 0.0108, 0.0953), ([0, -1, 1], -0.0780, 0.1046)):
        difference = weighted(areas, np.array(weights))
        assert difference.value == pytest.approx(value, abs=5e-5)
        assert difference.standard_error == pytest.approx(error, abs=5e-5)


def test_ties_count_half_and_the_covariance_is_that_of_the_shares() -> None:
    """The definition: psi = 1 (above), 1/2 (equal), 0 (below) of each pair of cases."""
    rng = np.random.default_rng(3)
    present, absent = rng.integers(0, 6, (4, 9)) + 1.0, rng.integers(0, 6, (4, 14)) * 1.0
    above = present[:, :, None] > absent[:, None, :]
    psi = above + 0.5 * (present[:, :, None] == absent[:, None, :])
    areas = delong(present, absent)
    assert areas.auc == pytest.approx(psi.mean(axis=(1, 2)))
    covariance = np.cov(psi.mean(axis=2)) / 9 + np.cov(psi.mean(axis=1)) / 14
    assert areas.covariance == pytest.approx(covariance)


def test_turning_the_ratings_around_turns_the_area_around() -> None:
    rng = np.random.default_rng(4)
    present, absent = rng.standard_normal((1, 8)), rng.standard_normal((1, 8))
    there, back = delong(present, absent), delong(-present, -absent)
    assert there.auc + back.auc == pytest.approx(1.0)
    assert there.covariance == pytest.approx(back.covariance)


@pytest.mark.parametrize(("n_present", "n_absent"), [(1, 5), (5, 1), (0, 5)])
def test_too_few_cases_are_refused(n_present: int, n_absent: int) -> None:
    with pytest.raises(InputError, match=f"got {n_present} and {n_absent}"):
        delong(np.zeros((1, n_present)), np.zeros((1, n_absent)))


@pytest.mark.parametrize("detectability", [0.0, 0.7, 2.0])
def test_the_area_of_gaussian_ratings_is_the_integral_over_thresholds(detectability: float) -> None:
    area, _ = quad(lambda t: norm.sf(t, loc=detectability) * norm.pdf(t), -10, 10)
    assert gaussian_area(detectability) == pytest.approx(area, abs=1e-7)


def test_halves_are_taken_to_go_together_and_separate_images_are_not() -> None:
    first, second = Estimate(value=0.7, variance=0.01), Estimate(value=0.9, variance=0.04)
    both = mean_of_dependent([first, second])
    assert (both.value, both.standard_error) == pytest.approx((0.8, 0.15))
    apart = mean_of_independent([first, second])
    assert (apart.value, apart.variance) == pytest.approx((0.8, 0.0125))


@pytest.mark.parametrize("area", [0.0, 0.03, 0.5, 0.93, 1.0])
@pytest.mark.parametrize("cases", [2, 10, 40])
def test_the_score_interval_ends_where_the_area_is_z_standard_errors_away(
    area: float, cases: int
) -> None:
    z = norm.ppf(0.975)
    for end in score_interval(area, cases, cases, confidence=0.95):
        if end in (0.0, 1.0):
            assert area == end
            continue
        q1, q2 = end / (2 - end), 2 * end**2 / (1 + end)
        hanley_mcneil = end * (1 - end) + (cases - 1) * (q1 + q2 - 2 * end**2)
        assert abs(end - area) == pytest.approx(z * np.sqrt(hanley_mcneil / cases**2), rel=1e-6)


def covers(shift: float, cases: int, *, repeats: int = 1000) -> float:
    """Share of the intervals that hold the true area."""
    rng = np.random.default_rng(11)
    held = 0
    for _ in range(repeats):
        present, absent = rng.standard_normal((2, 1, cases))
        areas = delong(present + shift, absent)
        low, high = area_interval(
            weighted(areas, np.ones(1)), n_present=cases, n_absent=cases, confidence=0.95
        )
        held += low <= gaussian_area(shift) <= high
    return held / repeats


@pytest.mark.parametrize(("shift", "cases"), [(0.0, 10), (0.0, 40), (1.0, 20), (2.0, 20), (3.0, 20)])
def test_intervals_cover_what_they_say(shift: float, cases: int) -> None:
    assert covers(shift, cases) == pytest.approx(0.95, abs=0.03)


def test_all_told_apart_leaves_an_interval_that_more_cases_narrow() -> None:
    lows = []
    for cases in (5, 20, 80):
        areas = delong(np.arange(cases)[None] + 1000.0, np.arange(cases)[None] * 1.0)
        area = weighted(areas, np.ones(1))
        assert (area.value, area.variance) == (1.0, 0.0)
        low, high = area_interval(area, n_present=cases, n_absent=cases, confidence=0.95)
        assert high == 1.0
        lows.append(low)
    assert 0.6 < lows[0] < lows[1] < lows[2] < 1.0


def test_the_interval_of_a_difference_uses_what_the_tests_have_in_common() -> None:
    first, second = (Estimate(value=v, variance=0.0004) for v in (0.8, 0.7))
    intervals = ((0.76, 0.84), (0.66, 0.74))
    alike = Estimate(value=0.1, variance=0.0)
    assert difference_interval(first, second, alike, intervals) == pytest.approx((0.1, 0.1))
    apart = Estimate(value=0.1, variance=0.0008)
    reach = np.hypot(0.04, 0.04)
    expected = (0.1 - reach, 0.1 + reach)
    assert difference_interval(first, second, apart, intervals) == pytest.approx(expected)
    assert two_sided_p(apart) == pytest.approx(2 * norm.sf(0.1 / np.sqrt(0.0008)))


def test_two_methods_that_tell_all_apart_are_not_said_to_be_equal() -> None:
    perfect = Estimate(value=1.0, variance=0.0)
    none = Estimate(value=0.0, variance=0.0)
    low, high = difference_interval(perfect, perfect, none, ((0.95, 1.0), (0.95, 1.0)))
    assert (low, high) == pytest.approx((-0.05, 0.05))
    assert two_sided_p(none) is None
