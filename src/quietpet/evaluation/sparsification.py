"""Whether an uncertainty tells where the errors are: what is left when the most uncertain pixels go."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

REMOVED = np.linspace(0.0, 0.95, 20)
"""Parts of the pixels that are removed."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Sparsification:
    """Root mean square error of the pixels that are left, relative to that of all, at each of REMOVED.

    ``by_spread``: the most uncertain pixels are removed first; ``oracle``: those that err most, which no
    uncertainty can do better (Ilg et al., ECCV 2018, sec. 4.2). Removed at random, it would stay 1.
    """

    by_spread: np.ndarray
    oracle: np.ndarray

    @property
    def ause(self) -> float:
        """Area between the two curves (area under the sparsification error), over REMOVED."""
        return float(np.trapezoid(self.by_spread - self.oracle, REMOVED))

    @property
    def relative_ause(self) -> float | None:
        """The area relative to that of a random order: 0 is the oracle, 1 no knowledge of the error.

        None where all pixels err alike, so that no order is better than another.
        """
        random = float(np.trapezoid(1.0 - self.oracle, REMOVED))
        return self.ause / random if random > 0 else None


def sparsification(spread: np.ndarray, error: np.ndarray) -> Sparsification | None:
    """Curves of pixels with this ``spread`` and ``error`` (signed or not), arrays of one shape.

    Of pixels of equal spread any may go first: each counts with the mean squared error of all of them,
    so that the curve is that expected of a random order among them. None where there is no error at all.
    """
    squared = np.square(error.ravel().astype(np.float64))
    if not squared.any():
        return None
    order = np.argsort(spread, axis=None)
    ordered = spread.ravel()[order]
    starts = np.flatnonzero(np.concatenate([[True], ordered[1:] != ordered[:-1]]))
    times = np.diff(starts, append=ordered.size)
    of_equals = np.repeat(np.add.reduceat(squared[order], starts) / times, times)
    return Sparsification(by_spread=_remaining(of_equals), oracle=_remaining(np.sort(squared)))


def rank_correlation(spread: np.ndarray, error: np.ndarray) -> float | None:
    """Spearman's correlation of the spread with the size of the error; None where one never differs."""
    size = np.abs(error.astype(np.float64))
    if np.ptp(spread) == 0 or np.ptp(size) == 0:
        return None
    ranks = (pd.Series(values.ravel()).rank() for values in (spread, size))
    return float(np.corrcoef(*ranks)[0, 1])


def _remaining(squared: np.ndarray) -> np.ndarray:
    """Relative RMSE of the first pixels of ``squared``, in the order in which they stay longest."""
    kept = squared.size - np.floor(REMOVED * squared.size).astype(int)
    sums = np.cumsum(squared)
    return np.sqrt(sums[kept - 1] / kept / (sums[-1] / squared.size))
