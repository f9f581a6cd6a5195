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
    """How alike two images are under a transform, on coarse copies of both."""

    fixed: Volume
    moving: Volume

    @classmethod
    def of(cls, fixed: Volume, moving: Volume, *, spacing_mm: float, fwhm_mm: float) -> Similarity:
        fixed, moving = (
            coarsened(each, spacing_mm=spacing_mm, fwhm_mm=fwhm_mm) for each in (fixed, moving)
        )
        return cls(fixed=fixed, moving=moving)

    def nmi(self, transform: RigidTransform) -> float:
        """(H(A) + H(B)) / H(A, B): 1 for independent images, 2 for equal ones.

        Studholme et al., Pattern Recognition 32:71 (1999); entropies of 32 x 32 bins over the part of
        the fixed grid that lies in the moving image, 1 if that is less than a quarter.
        """
        grid = np.indices(self.fixed.values.shape, np.float64).reshape(3, -1)
        to_index = (
            np.linalg.inv(self.moving.affine_ras_mm)
            @ transform.fixed_to_moving
            @ self.fixed.affine_ras_mm
        )
        positions = to_index[:3, :3] @ grid + to_index[:3, 3:]
        limits = np.array(self.moving.values.shape)[:, None] - 1
        shared = np.all((positions >= 0) & (positions <= limits), axis=0)
        if shared.mean() < _LEAST_SHARED:
            return 1.0
        moving = ndimage.map_coordinates(self.moving.values, positions[:, shared], order=1)
        joint, _, _ = np.histogram2d(self.fixed.values.ravel()[shared], moving, bins=_BINS)
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


def _entropy(counts: np.ndarray) -> float:
    """Shannon entropy [nat] of a histogram."""
    probabilities = counts[counts > 0] / counts.sum()
    return float(-np.sum(probabilities * np.log(probabilities)))
