"""Scores of whole subjects as the BIC-MAC challenge defines them, of the brain in the slices there are.

Source: the evaluation code of the Big Cross-Modal Attenuation Correction challenge of 2026,
github.com/bic-mac-challenge/challenge-codebase, read at commit 6e333d0 and in later versions: brain
outlier score and organ bias. There the reference is PET with attenuation corrected by CT, here it is the
standard dose, and the truth where it is known; there the organs are eight of the whole body, here
regions of the head.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np

from quietpet.evaluation.leakage import Measure

WITHIN = (0.05, 0.10, 0.15)
"""Relative errors that a voxel may have."""

EPSILON = 1e-6
"""Added to the reference, and the least reference of a voxel that counts, in the unit of the images."""


def brain_outliers(restored: np.ndarray, standard: np.ndarray, brain: np.ndarray) -> Iterator[Measure]:
    """Shares k_t of a subject's brain voxels whose relative error is below t, and their mean.

    Images and mask have one shape. The challenge's score of a threshold is the area under K(x) = share
    of cases with k > x, x from 0 to 1. That integral is the mean of k over cases, so that the score of a
    data set is the mean of its subjects' ``brain_outlier_score``, itself the mean over the three
    thresholds. 1: no outliers.
    """
    inside = brain & (np.abs(standard) > EPSILON)
    expected = standard[inside].astype(np.float64)
    error = np.abs(restored[inside] - expected) / (np.abs(expected) + EPSILON)
    shares = [float(np.mean(error < within)) if error.size else np.nan for within in WITHIN]
    for within, share in zip(WITHIN, shares, strict=True):
        name = f"brain_share_within_{round(100 * within)}_percent"
        yield Measure(name=name, value=share, count=error.size)
    yield Measure(name="brain_outlier_score", value=float(np.mean(shares)), count=error.size)


def region_bias(
    restored: np.ndarray, standard: np.ndarray, regions: Mapping[str, np.ndarray]
) -> Measure:
    """Mean absolute relative error of the mean activity of ``regions`` (masks) [%]: the "organ bias".

    mean over regions of |mean restored - mean standard| / (|mean standard| + 1e-6); regions without a
    voxel are left out.
    """
    errors = []
    for inside in regions.values():
        if inside.any():
            found, expected = (
                float(image[inside].mean(dtype=np.float64)) for image in (restored, standard)
            )
            errors.append(abs(found - expected) / (abs(expected) + EPSILON))
    value = 100.0 * float(np.mean(errors)) if errors else np.nan
    return Measure(name="region_bias_percent", value=value, count=len(errors))
