"""Normalised mutual information of two images, and the start that promises most of it."""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from quietpet.registration.head import coarsened
from quietpet.registration.volume import RigidTransform, Volume

_BINS = 32
_START_SPACING_MM, _START_FWHM_MM = 8.0, 10.0
_START_ANGLE_DEG = 15.0
_LEAST_SHARED = 0.25
"""Part of the fixed grid that the moving image must cover: a sliver of overlap proves nothing."""


@dataclass(frozen=True, kw_only=True)
class Similarity:
    """How alike two images are under a transform, on coarse copies of both; make it by :meth:`of`.

    ``positions_mm`` (n, 3) are the voxels of the fixed copy and ``fixed_bins`` (n,) their values' bins.
    """

    positions_mm: np.ndarray
    fixed_bins: np.ndarray
    moving: Volume

    @classmethod
    def of(cls, fixed: Volume, moving: Volume, *, spacing_mm: float, fwhm_mm: float) -> Similarity:
        """Of two images smoothed and sampled alike."""
        fixed, moving = (
            coarsened(each, spacing_mm=spacing_mm, fwhm_mm=fwhm_mm) for each in (fixed, moving)
        )
        return cls(
            positions_mm=fixed.world_mm(np.indices(fixed.values.shape).reshape(3, -1).T),
            fixed_bins=_bins(fixed.values.ravel(), fixed.values),
            moving=moving,
        )

    def nmi(self, transform: RigidTransform) -> float:
        """(H(A) + H(B)) / H(A, B): 1 for independent images, 2 for equal ones.

        Studholme et al., Pattern Recognition 32:71 (1999); entropies of 32 x 32 bins over the part of
        the fixed grid that lies in the moving image, 1 if that is less than a quarter.
        """
        there_mm = transform.apply(self.positions_mm)
        shared = self.moving.contains(there_mm)
        if shared.mean() < _LEAST_SHARED:
            return 1.0
        indices = self.moving.indices(there_mm[shared])
        moving = ndimage.map_coordinates(self.moving.values, indices.T, order=1)
        pairs = _BINS * self.fixed_bins[shared] + _bins(moving, self.moving.values)
        joint = np.bincount(pairs, minlength=_BINS**2).reshape(_BINS, _BINS)
        together = _entropy(joint)
        return (
            (_entropy(joint.sum(axis=0)) + _entropy(joint.sum(axis=1))) / together if together else 1.0
        )


def starting_transform(
    fixed: Volume, moving: Volume, *, fixed_centre_mm: np.ndarray, moving_centre_mm: np.ndarray
) -> RigidTransform:
    """The most similar of a few positions: as the headers say or centre upon centre, turned or not."""
    similarity = Similarity.of(fixed, moving, spacing_mm=_START_SPACING_MM, fwhm_mm=_START_FWHM_MM)
    turns = [np.zeros(3), *(sign * _START_ANGLE_DEG * axis for axis in np.eye(3) for sign in (1, -1))]
    candidates = [
        RigidTransform.from_rotation(
            euler_deg=turn, translation_mm=translation, centre_mm=fixed_centre_mm
        )
        for translation, turn in itertools.product(
            (np.zeros(3), moving_centre_mm - fixed_centre_mm), turns
        )
    ]
    return max(candidates, key=similarity.nmi)


def _bins(values: np.ndarray, of: np.ndarray) -> np.ndarray:
    """Number of the bin of each value, of 32 equal ones over the range of the image ``of``."""
    low, high = float(of.min()), float(of.max())
    width = (high - low) / _BINS or 1.0
    return np.clip((values - low) / width, 0, _BINS - 1).astype(np.intp)


def _entropy(counts: np.ndarray) -> float:
    """Shannon entropy [nat] of a histogram."""
    probabilities = counts[counts > 0] / counts.sum()
    return float(-np.sum(probabilities * np.log(probabilities)))
