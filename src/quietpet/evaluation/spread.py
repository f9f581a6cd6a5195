"""Whether the samples of a stochastic method differ as much as they err.

A ratio below 1 does not say why: samples of too little variance have one, and so have true samples of
the posterior of another domain, whose mean is off. Either way it gives the cost of sampling: samples
are independent given the data, so one of them has 1 + ratio^2 times the squared error of the mean of
endless ones.
"""

from __future__ import annotations

import numpy as np

LITTLE_SPREAD_BELOW = 0.3
"""Samples that spread by less of their error spread little.

Their variance is then less than a tenth of their mean's squared error (0.3^2 = 0.09), where that of true
samples of the posterior is all of it.
"""

LITTLE_SPREAD = "in effect a regression, or a sampler that is off"
"""What such a method is, in words: the ratio does not tell one from the other."""


def spread_to_error(
    mean: np.ndarray, standard_deviation: np.ndarray, standard: np.ndarray, *, samples: int
) -> float | None:
    """Root mean square spread between samples, relative to the error of the mean of endless samples.

    ``mean`` and ``standard_deviation`` (dividing by K - 1) are of K = ``samples`` samples of each value
    in ``standard``, arrays of one shape. Draws from the distribution of the standard dose given the data
    have the ratio 1, a regression 0, whatever K; bias is part of the error. The mean of K samples errs
    by their variance / K more than that of endless ones, which is taken off (Fortin et al., J
    Hydrometeorol 2014;15:1708, corrects the spread instead). None where no error is left.
    """
    variance = np.mean(np.square(standard_deviation, dtype=np.float64))
    squared_error = np.mean(np.square(mean.astype(np.float64) - standard))
    of_endless = squared_error - variance / samples
    return float(np.sqrt(variance / of_endless)) if of_endless > 0 else None


def spreads_little(ratio: float | None) -> bool:
    """Whether samples of this :func:`spread_to_error` spread little; None: there is one sample."""
    return ratio is not None and ratio < LITTLE_SPREAD_BELOW
