"""Whether intervals drawn from a few samples hold the standard dose as often as they say.

K samples of a Gaussian posterior have the mean m and the standard deviation s (dividing by K - 1), and a
further draw y, which is what the standard dose is to a sampler of the posterior, is t-distributed about
them: (y - m) / (s sqrt(1 + 1 / K)) has K - 1 degrees of freedom (Student's predictive interval; Geisser
1993, Predictive Inference, ch. 2). With K = 2, as in short studies, the interval of 90 % reaches 7.7 s
to either side; those of a normal distribution would hold too little, whatever the sampler does.
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


def conformal_scale(errors: np.ndarray, level: float, *, samples: int) -> float | None:
    """By what intervals of ``level`` must be multiplied to hold that part of a further value.

    Split conformal prediction (Vovk et al. 2005; Lei et al., JASA 2018;113:1094): of n
    :func:`standardised_errors` that are exchangeable with the further one, that of rank
    ceil(level (n + 1)), so that it is held with a probability of at least ``level`` whatever the
    distribution. Pixels of few subjects are not exchangeable with those of another one, so what it holds
    there is to be measured; :func:`promised_scales` asks less. None where that rank is above n, or its
    error is one of samples that do not differ at all.
    """
    rank = int(np.ceil(level * (errors.size + 1) - _ROUNDING))
    if rank > errors.size:
        return None
    return _relative(np.partition(errors.ravel(), rank - 1)[rank - 1], level, samples)


def promised_scales(
    units: Sequence[np.ndarray], levels: Sequence[float], *, samples: int
) -> list[float | None]:
    """By what intervals of each of ``levels`` must be multiplied to hold that part of a further unit.

    ``units`` are the :func:`standardised_errors` of units that are exchangeable with the further one,
    slices for one, each of any number of pixels, which may depend on one another. The factor is the
    smallest that keeps (sum of the parts missed in each of the n units + 1) / (n + 1) at most 1 - level:
    conformal risk control (Angelopoulos et al., ICLR 2024, eq. 4), whose expected coverage of a further
    unit is at least the level whatever the distribution. With units of one pixel it is
    :func:`conformal_scale`; with few of many it is wide, for the further one counts as missed whole.

    None where that needs more units (:func:`units_needed`), or where samples do not differ at all in
    pixels that would have to be held.
    """
    if not units:
        return [None] * len(levels)
    errors = np.concatenate([unit.ravel() for unit in units])
    shares = np.repeat([1.0 / unit.size for unit in units], [unit.size for unit in units])
    order = np.argsort(errors)
    held = np.cumsum(shares[order])

    def scale(level: float) -> float | None:
        needed = level * (len(units) + 1) - _ROUNDING
        if len(units) < needed:
            return None
        last = min(int(np.searchsorted(held, needed)), errors.size - 1)
        return _relative(float(errors[order[last]]), level, samples)

    return [scale(level) for level in levels]


def units_needed(level: float) -> int:
    """Units from which :func:`promised_scales` can promise ``level``: n >= level / (1 - level)."""
    return int(np.ceil(level / (1.0 - level) - _ROUNDING))


def _relative(error: float, level: float, samples: int) -> float | None:
    return float(error / predictive_quantile(level, samples=samples)) if np.isfinite(error) else None
