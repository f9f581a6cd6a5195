"""Brain outlier score and region bias against the challenge's definition, written out."""

from __future__ import annotations

import numpy as np
import pytest

from quietpet.evaluation.challenge import brain_outliers, region_bias


def scores(restored: np.ndarray, standard: np.ndarray, brain: np.ndarray) -> dict[str, float]:
    return {each.name: each.value for each in brain_outliers(restored, standard, brain)}


def test_the_score_of_a_data_set_is_the_area_under_the_share_of_better_cases() -> None:
    """K(x) = share of cases with k > x; 3 thresholds; the area by a fine sum over x."""
    rng = np.random.default_rng(0)
    x = np.linspace(0, 1, 20_001)
    brain = np.ones((4, 30, 30), bool)
    subjects, areas = [], []
    cases = [(rng.uniform(5, 20, brain.shape), spread) for spread in (0.03, 0.08, 0.2, 0.6)]
    restored = [truth * (1 + spread * rng.standard_normal(brain.shape)) for truth, spread in cases]
    for within in (0.05, 0.10, 0.15):
        shares = [np.mean(abs(r - t) / t < within) for r, (t, _) in zip(restored, cases, strict=True)]
        areas.append(np.trapezoid([np.mean(np.array(shares) > each) for each in x], x))
    for r, (truth, _) in zip(restored, cases, strict=True):
        subjects.append(scores(r, truth, brain)["brain_outlier_score"])
    assert np.mean(subjects) == pytest.approx(np.mean(areas), abs=1e-4)


def test_errors_on_both_sides_count_and_only_in_the_brain() -> None:
    standard = np.full((1, 1, 8), 100.0)
    restored = np.array([[[100.0, 104.9, 95.1, 107.0, 93.0, 112.0, 200.0, 500.0]]])
    brain = np.array([[[True] * 7 + [False]]])
    found = scores(restored, standard, brain)
    assert found["brain_share_within_5_percent"] == pytest.approx(3 / 7)
    assert found["brain_share_within_10_percent"] == pytest.approx(5 / 7)
    assert found["brain_share_within_15_percent"] == pytest.approx(6 / 7)
    assert found["brain_outlier_score"] == pytest.approx((3 + 5 + 6) / 21)


def test_voxels_without_activity_and_subjects_without_a_brain_have_no_share() -> None:
    standard = np.array([[0.0, 10.0]])
    found = [*brain_outliers(np.array([[5.0, 10.0]]), standard, np.ones((1, 2), bool))]
    assert {(each.value, each.count) for each in found} == {(1.0, 1)}
    nothing = scores(standard, standard, np.zeros((1, 2), bool))
    assert all(np.isnan(value) for value in nothing.values())


def test_region_bias_is_the_mean_of_absolute_relative_errors_of_means() -> None:
    standard = np.array([[10.0, 10.0, 40.0, 40.0]])
    restored = np.array([[8.0, 10.0, 40.0, 48.0]])  # -10 % and +10 %: they do not cancel
    regions = {
        "first": np.array([[True, True, False, False]]),
        "second": np.array([[False, False, True, True]]),
        "nowhere": np.zeros((1, 4), bool),
    }
    found = region_bias(restored, standard, regions)
    assert (found.value, found.count) == (pytest.approx(10.0), 2)
    none = region_bias(restored, standard, {})
    assert np.isnan(none.value)
    assert none.count == 0
