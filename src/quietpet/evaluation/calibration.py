"""Whether intervals drawn from a few samples hold the standard dose as often as they say.

K samples of a Gaussian posterior have the mean m and the standard deviation s (dividing by K - 1), and a
further draw y, which is what the standard dose is to a sampler of the posterior, is t-distributed about
them: (y - m) / (s sqrt(1 + 1 / K)) has K - 1 degrees of freedom (Student's predictive interval; Geisser
1993, Predictive Inference, ch. 2). With K = 2, as in short studies, the interval of 90 % reaches 7.7 s
to either side; multiples of s from the normal distribution would hold too little, whatever the sampler.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy.special import stdtrit

_ROUNDING = 1e-9
"""Units by which a sum of shares may miss the rank that it should have exactly."""


def standardised_errors(
    mean: np.ndarray, standard_deviation: np.ndarray, standard: np.ndarray, *, samples: int
) -> np.ndarray:
    """|y - m| / (s sqrt(1 + 1 / K)) of every value; 0 without an error, inf of one without any spread.

    ``mean`` and ``standard_deviation`` (dividing by K - 1) are of K = ``samples`` samples, two or more,
    of each value of ``standard``; arrays of one shape.
    """
    error = np.abs(mean.astype(np.float64) - standard)
    width = standard_deviation.astype(np.float64) * np.sqrt(1.0 + 1.0 / samples)
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(error == 0, 0.0, error / width)


def predictive_quantile(level: float, *, samples: int) -> float:
    """Half the central interval of ``level`` (0 to 1) of Student's t with K - 1 degrees of freedom."""
    return float(stdtrit(samples - 1, (1.0 + level) / 2.0))


def coverage(errors: np.ndarray, level: float, *, samples: int, scale: float = 1.0) -> float:
    """Part of the :func:`standardised_errors` within intervals of ``level``, times ``scale``."""
    return float(np.mean(errors <= scale * predictive_quantile(level, samples=samples)))


def conformal_scale(units: Sequence[np.ndarray], level: float, *, samples: int) -> float | None:
    """By what intervals of ``level`` must be multiplied so that they hold that part of a new unit.

    ``units`` are the :func:`standardised_errors` of units that are exchangeable with the new one, slices
    of other subjects for one, each of any number of pixels, which may depend on one another. The factor
    is the smallest that keeps (sum of the parts missed in each of the n units + 1) / (n + 1) at most
    1 - level: conformal risk control (Angelopoulos et al., ICLR 2024, eq. 4), whose expected coverage of
    a new unit is at least ``level`` whatever the distribution. With units of one pixel it is split
    conformal prediction: the error of rank ceil(level (n + 1)).

    None where that needs more units, n >= level / (1 - level), or where samples do not differ at all in
    pixels that would have to be held.
    """
    n = len(units)
    needed = level * (n + 1)
    if n < needed - _ROUNDING:
        return None
    errors = np.concatenate([unit.ravel() for unit in units])
    shares = np.repeat([1.0 / unit.size for unit in units], [unit.size for unit in units])
    order = np.argsort(errors, kind="stable")
    held = np.cumsum(shares[order])
    factor = errors[order][min(np.searchsorted(held, needed - _ROUNDING), errors.size - 1)]
    if not np.isfinite(factor):
        return None
    return float(factor / predictive_quantile(level, samples=samples))


def units_needed(level: float) -> int:
    """Units from which :func:`conformal_scale` can promise ``level``: n >= level / (1 - level)."""
    return int(np.ceil(level / (1.0 - level) - _ROUNDING))
