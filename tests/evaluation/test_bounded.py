"""Intervals of bounded measures hold what they promise."""

from __future__ import annotations

import numpy as np
import pytest

from quietpet.evaluation.bounded import Scale, mean_and_interval


@pytest.mark.parametrize("subjects", [3, 5, 10])
@pytest.mark.parametrize(("scale", "centre"), [("ratio", 1.0), ("positive", np.exp(0.3**2 / 2))])
def test_of_log_normal_values_the_intervals_hold_95_percent(
    scale: Scale, centre: float, subjects: int
) -> None:
    """The geometric mean of exp(0.3 z) is 1, the mean exp(0.3^2 / 2); within 3 points."""
    drawn = np.exp(0.3 * np.random.default_rng(0).standard_normal((1000, subjects)))
    held = 0
    for values in drawn:
        _, interval = mean_and_interval(values, scale, confidence=0.95)
        held += interval[0] <= centre <= interval[1]
    assert held / len(drawn) == pytest.approx(0.95, abs=0.03)


def test_shares_hold_no_less_than_without_the_limits() -> None:
    """What is cut off lies outside of [0, 1], where no share is."""
    drawn = np.random.default_rng(0).beta(8, 1, (1000, 3))
    intervals = [[mean_and_interval(v, s, confidence=0.95)[1] for s in ("share", "real")] for v in drawn]
    assert any(plain[1] > 1 for _, plain in intervals)
    for cut, plain in intervals:
        assert 0 <= cut[0] <= cut[1] <= 1
        assert (cut[0] <= 8 / 9 <= cut[1]) == (plain[0] <= 8 / 9 <= plain[1])


@pytest.mark.parametrize("scale", ["ratio", "positive"])
def test_an_interval_without_an_end_is_none(scale: Scale) -> None:
    values = np.array([1e-30, 1.0])
    mean, interval = mean_and_interval(values, scale, confidence=0.9999)
    assert mean > 0
    assert interval is None
