"""From a dose to prompts: how many counts a slice gets, their Poisson noise, and what they are worth."""

from __future__ import annotations

import numpy as np

from quietpet.config.doses import DoseSettings


def slice_counts(protocol: DoseSettings, *, slices_per_volume: int, rng: np.random.Generator) -> float:
    """Expected prompts of one slice, those lost in gaps included, uniform in the protocol's range.

    With ``counts_per: volume`` the range holds for the whole axial field of view and a slice gets an
    equal share. (The published 9e7-12e7 are the volume counts of the FB-SEM simulation; taken per slice,
    low-dose images would be 12 dB better than the published ones.)
    """
    counts = rng.uniform(*protocol.count_range)
    return counts / slices_per_volume if protocol.counts_per == "volume" else counts


def counts_per_activity(prompts_per_activity: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """Factor (slice,) that makes mean sinograms (slice, view, bin) sum to ``counts`` (slice,).

    The sinograms are those before gaps: the published counts include the 21 % that fall into the gaps
    between blocks and are never recorded.
    Raises ValueError for a slice without activity, which no factor can give counts.
    """
    totals = prompts_per_activity.sum(axis=(1, 2), dtype=np.float64)
    if (totals <= 0).any():
        raise ValueError(f"slices {np.flatnonzero(totals <= 0).tolist()} hold no activity")
    return counts / totals


def poisson_prompts(expected: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Poisson draw of a sinogram with the given expectation, int32."""
    prompts = np.zeros(expected.shape, dtype=np.int32)
    seen = expected > 0
    prompts[seen] = rng.poisson(expected[seen])
    return prompts


def noise_equivalent_counts(
    trues: np.ndarray, scattered: np.ndarray, randoms: np.ndarray, *, k: int
) -> np.ndarray:
    """Trues alone that would be as noisy: T^2 / (T + S + k R), with counts of lines through the object.

    k = 1: the estimate of randoms is free of noise, as a smoothed one nearly is; k = 2: delayed counts
    are subtracted as they are (Strother, Casey & Hoffman, IEEE Trans Nucl Sci 37:783, 1990).
    """
    return trues**2 / (trues + scattered + k * randoms)
