"""Means over subjects, with intervals that stay among the values that a measure can have."""

from __future__ import annotations

from typing import Literal

import numpy as np

from quietpet.evaluation.statistics import Interval, t_interval

Scale = Literal["real", "ratio", "positive", "share"]
"""Values of any sign; ratios of two positive numbers; numbers from 0; numbers from 0 to 1."""


def mean_and_interval(
    values: np.ndarray, scale: Scale, *, confidence: float
) -> tuple[float, Interval | None]:
    """Mean of ``values`` (subject,) and its interval; None of a single subject, or without an end.

    real: Student's. share: the same, cut at 0 and 1. ratio: the geometric mean and the t interval of the
    logarithm, so that turning all ratios over turns the result over; with a 0 among them the mean is 0,
    and it has no interval unless all are 0. positive: the mean m and m exp(+-t s / (m sqrt(n))), the t
    interval of log m by the delta method.
    """
    mean = float(np.mean(values))
    interval = t_interval(values, confidence=confidence)
    if scale == "ratio" and mean > 0:
        return _geometric(values, confidence=confidence)
    if interval is None or scale == "real" or mean == 0:
        return mean, interval
    if scale == "share":
        return mean, (max(interval[0], 0.0), min(interval[1], 1.0))
    reach = (interval[1] - mean) / mean
    return mean, _exponential((np.log(mean) - reach, np.log(mean) + reach))


def _geometric(values: np.ndarray, *, confidence: float) -> tuple[float, Interval | None]:
    if (values == 0).any():
        return 0.0, None
    logs = np.log(values)
    return float(np.exp(logs.mean())), _exponential(t_interval(logs, confidence=confidence))


def _exponential(interval: Interval | None) -> Interval | None:
    if interval is None:
        return None
    with np.errstate(over="ignore"):
        low, high = (float(np.exp(end)) for end in interval)
    return (low, high) if np.isfinite(high) else None
