"""The dose at which an untreated scan is as good: where curves through few doses reach a value."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from quietpet.evaluation.statistics import ends, t_interval

Status = Literal[
    "", "above the range measured", "below the range measured", "not monotone",
    "fewer than two doses within the range measured",
]  # fmt: skip
WITHIN: Status = ""
ABOVE: Status = "above the range measured"
BELOW: Status = "below the range measured"
NOT_MONOTONE: Status = "not monotone"
TOO_FEW: Status = "fewer than two doses within the range measured"

_ROUNDING = 1e-9
"""Of the span of a curve: so near to an end is at the end."""


@dataclass(frozen=True)
class Found:
    """Where a curve reaches a value: the place, or None and why."""

    value: float | None
    status: Status


def where(
    places: Sequence[float] | np.ndarray, values: Sequence[float] | np.ndarray, target: float
) -> Found:
    """Where the curve through ``values`` at ``places`` (positive, rising) is ``target``.

    It is piecewise linear in the logarithm of the place, and strictly rising or falling, or the answer
    would not be unique: else "not monotone". A target beyond its ends is above or below the range
    measured, and never extrapolated.
    """
    rises = np.diff(values)
    if not ((rises > 0).all() or (rises < 0).all()):
        return Found(None, NOT_MONOTONE)
    sign = 1.0 if rises[0] > 0 else -1.0
    rising, wanted = sign * np.asarray(values, dtype=np.float64), sign * target
    rounding = _ROUNDING * (rising[-1] - rising[0])
    if wanted > rising[-1] + rounding:
        return Found(None, ABOVE)
    if wanted < rising[0] - rounding:
        return Found(None, BELOW)
    return Found(float(np.exp(np.interp(wanted, rising, np.log(places)))), WITHIN)


@dataclass(frozen=True, kw_only=True)
class Equivalent:
    """Places of all subjects: their geometric mean with its interval, or None and why.

    ``mean`` is None as soon as one subject is beyond the range measured, for the others alone would be
    those of one side; ``within``, ``above``, ``below``, ``not_monotone`` and ``too_few`` count subjects.
    """

    mean: float | None
    ci_low: float | None
    ci_high: float | None
    within: int
    above: int
    below: int
    not_monotone: int
    too_few: int

    @property
    def status(self) -> str:
        """Why there is no mean, in words; empty where there is one."""
        counts = {
            ABOVE: self.above,
            BELOW: self.below,
            NOT_MONOTONE: self.not_monotone,
            TOO_FEW: self.too_few,
        }
        n = self.within + sum(counts.values())
        said = (
            f"{status} in {count} of {n} subjects" if count < n else status
            for status, count in counts.items()
            if count
        )
        return ", ".join(said)


def over_subjects(found: Sequence[Found], *, confidence: float) -> Equivalent:
    """Geometric mean over subjects, and the t interval of its logarithm."""
    places = [each.value for each in found if each.value is not None]
    logs = np.log(places) if len(places) == len(found) else None
    low, high = ends(t_interval(logs, confidence=confidence)) if logs is not None else (None, None)
    statuses = [each.status for each in found]
    return Equivalent(
        mean=None if logs is None else float(np.exp(logs.mean())),
        ci_low=None if low is None else float(np.exp(low)),
        ci_high=None if high is None else float(np.exp(high)),
        within=len(places),
        above=statuses.count(ABOVE),
        below=statuses.count(BELOW),
        not_monotone=statuses.count(NOT_MONOTONE),
        too_few=statuses.count(TOO_FEW),
    )
