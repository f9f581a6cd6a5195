"""Intervals of a few samples against posteriors that are known."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from quietpet.evaluation.calibration import (
    conformal_scale,
    coverage,
    predictive_quantile,
    promised_scales,
    standardised_errors,
    units_needed,
)

LEVELS = (0.5, 0.8, 0.9, 0.95)
VALUES = 200_000
REPEATS = 1000


def promised_scale(units: Sequence[np.ndarray], level: float, *, samples: int) -> float | None:
    return promised_scales(units, (level,), samples=samples)[0]


def errors_of(samples: np.ndarray, standard: np.ndarray) -> np.ndarray:
    return standardised_errors(
        samples.mean(axis=0), samples.std(axis=0, ddof=1), standard, samples=len(samples)
    )


def monte_carlo_error(level: float, values: int) -> float:
    return float(np.sqrt(level * (1.0 - level) / values))


@pytest.mark.parametrize("count", [2, 5, 20])
@pytest.mark.parametrize("level", LEVELS)
def test_intervals_of_a_gaussian_posterior_hold_what_they_say(count: int, level: float) -> None:
    """Each value has a mean and a width of its own; the standard dose is one more draw."""
    rng = np.random.default_rng(count)
    mean, width = rng.uniform(0.0, 10.0, VALUES), rng.uniform(0.1, 3.0, VALUES)
    standard, *samples = mean + width * rng.standard_normal((count + 1, VALUES))
    found = coverage(errors_of(np.stack(samples), standard), level, samples=count)
    assert found == pytest.approx(level, abs=4 * monte_carlo_error(level, VALUES))


@pytest.mark.parametrize(("count", "holds"), [(2, 2 / np.pi * np.arctan(1.645 / 1.5**0.5)), (20, 0.875)])
def test_multiples_of_the_spread_would_blame_a_true_sampler(count: int, holds: float) -> None:
    """What m +- 1.645 s holds of a Gaussian posterior, 0.59 with two samples: why it is Student's t."""
    rng = np.random.default_rng(count)
    standard, *samples = rng.standard_normal((count + 1, VALUES))
    drawn = np.stack(samples)
    inside = np.abs(standard - drawn.mean(axis=0)) <= 1.645 * drawn.std(axis=0, ddof=1)
    assert inside.mean() == pytest.approx(holds, abs=0.01)


def test_the_quantile_of_two_samples_is_that_of_cauchy() -> None:
    """Student's t of one degree of freedom is Cauchy's distribution, whose quantile is a tangent."""
    for level in LEVELS:
        assert predictive_quantile(level, samples=2) == pytest.approx(np.tan(np.pi * level / 2))


def test_a_regression_holds_what_it_hits_alone() -> None:
    standard = np.arange(10.0)
    restored = np.where(standard < 3, standard, standard + 1.0)
    errors = errors_of(np.stack([restored] * 3), standard)
    assert coverage(errors, 0.95, samples=3) == pytest.approx(0.3)
    assert promised_scale([errors] * 50, 0.9, samples=3) is None
    assert conformal_scale(errors, 0.9, samples=3) is None


@pytest.mark.parametrize("share", [0.25, 4.0])
def test_samples_too_narrow_or_too_wide_are_scaled_back(share: float) -> None:
    rng = np.random.default_rng(0)
    units = []
    for _ in range(100):
        standard, *samples = rng.standard_normal((6, 5000))
        units.append(errors_of(share * np.stack(samples), standard))
    scale = promised_scale(units, 0.9, samples=5)
    assert scale is not None
    found = coverage(np.concatenate(units), 0.9, samples=5, scale=scale)
    assert found == pytest.approx(0.9, abs=0.01)
    assert (scale > 1) == (share < 1)


@pytest.mark.parametrize("level", LEVELS)
def test_units_of_one_pixel_give_split_conformal_prediction(level: float) -> None:
    """The error of rank ceil(level (n + 1)) of n."""
    rng = np.random.default_rng(1)
    for n in (units_needed(level), 25, 39, 100):
        errors = rng.exponential(size=n)
        rank = int(np.ceil(round(level * (n + 1), 9)))
        scale = promised_scale([np.array([error]) for error in errors], level, samples=4)
        assert scale == conformal_scale(errors, level, samples=4)
        assert scale is not None
        assert scale * predictive_quantile(level, samples=4) == pytest.approx(np.sort(errors)[rank - 1])
        assert conformal_scale(errors[: units_needed(level) - 1], level, samples=4) is None


@pytest.mark.parametrize(("level", "n"), [(0.5, 20), (0.9, 25), (0.95, 19)])
def test_a_further_value_is_held_as_split_conformal_prediction_promises(level: float, n: int) -> None:
    """1,000 repeats of heavy tails: its probability is exactly ceil(level (n + 1)) / (n + 1)."""
    rng = np.random.default_rng(n)
    held = np.empty(REPEATS)
    for repeat in range(REPEATS):
        errors = np.abs(rng.standard_t(1, n + 1))
        scale = conformal_scale(errors[1:], level, samples=3)
        assert scale is not None
        held[repeat] = coverage(errors[:1], level, samples=3, scale=scale)
    exactly = np.ceil(round(level * (n + 1), 9)) / (n + 1)
    assert exactly >= level
    assert held.mean() == pytest.approx(exactly, abs=3 * monte_carlo_error(exactly, REPEATS))


def test_too_few_units_promise_nothing() -> None:
    """n / (n + 1) is the most that n units can promise."""
    assert [units_needed(level) for level in LEVELS] == [1, 4, 9, 19]
    for level in LEVELS:
        units = [np.linspace(0.0, 1.0, 50)] * (units_needed(level) - 1)
        assert promised_scale(units, level, samples=2) is None
        assert promised_scale([*units, units[0] if units else np.ones(3)], level, samples=2) is not None


@pytest.mark.parametrize(("level", "n"), [(0.8, 10), (0.9, 15)])
def test_a_new_unit_is_held_as_promised_whatever_the_samples_are(level: float, n: int) -> None:
    """Units differ in width and in size, and the pixels of each depend on one another."""
    rng = np.random.default_rng(n)
    held = np.empty(REPEATS)
    for repeat in range(REPEATS):
        units = [
            np.exp(rng.normal(scale=1.0)) * np.abs(rng.normal() + rng.standard_t(3, rng.integers(5, 60)))
            for _ in range(n + 1)
        ]
        scale = promised_scale(units[1:], level, samples=3)
        assert scale is not None
        held[repeat] = coverage(units[0], level, samples=3, scale=scale)
    assert held.mean() >= level - 3 * held.std() / np.sqrt(REPEATS)
    # No more than by the one unit that counts as missed: level + 1 / (n + 1), and a pixel.
    assert held.mean() <= level + 1 / (n + 1) + 0.02


def test_pooled_pixels_would_not_keep_the_promise() -> None:
    """Pixels of few subjects are not exchangeable with those of another: their rank holds too little."""
    rng = np.random.default_rng(5)
    level, n = 0.8, 4
    pooled, by_unit = np.empty(REPEATS), np.empty(REPEATS)
    for repeat in range(REPEATS):
        new, *units = np.exp(rng.normal(scale=1.0, size=(n + 1, 1))) * rng.exponential(size=(n + 1, 40))
        for scales, scale in (
            (pooled, conformal_scale(np.concatenate(units), level, samples=3)),
            (by_unit, promised_scale(units, level, samples=3)),
        ):
            assert scale is not None
            scales[repeat] = coverage(new, level, samples=3, scale=scale)
    assert pooled.mean() < level - 3 * pooled.std() / np.sqrt(REPEATS)
    assert by_unit.mean() >= level - 3 * by_unit.std() / np.sqrt(REPEATS)


@pytest.mark.parametrize(("subjects", "least", "most"), [(1, 0.74, 0.84), (4, 0.85, 0.895)])
def test_positions_of_other_subjects_hold_less_than_their_level(
    subjects: int, least: float, most: float
) -> None:
    """Errors of a subject have a scale of their own: positions are exchangeable within subjects alone.

    Of a new position of the same subjects the level is held.
    """
    rng = np.random.default_rng(subjects)
    level, positions, pixels = 0.9, 20, 20
    same, other = np.empty(REPEATS), np.empty(REPEATS)
    for repeat in range(REPEATS):
        scales = np.exp(rng.normal(size=(subjects + 1, 1, 1)))
        errors = scales * np.abs(rng.normal(size=(subjects + 1, positions + 1, pixels)))
        found = promised_scale([*errors[:-1, 1:].reshape(-1, pixels)], level, samples=4)
        assert found is not None
        same[repeat] = coverage(errors[:-1, 0], level, samples=4, scale=found)
        other[repeat] = coverage(errors[-1], level, samples=4, scale=found)
    assert same.mean() >= level - 3 * same.std() / np.sqrt(REPEATS)
    assert least < other.mean() < most
