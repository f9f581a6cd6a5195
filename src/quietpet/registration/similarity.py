"""Normalised mutual information of two images, the start that promises most of it, and its rivals."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from scipy import ndimage, optimize
from scipy.spatial.transform import Rotation

from quietpet.geometry.volume import Volume
from quietpet.registration.head import coarsened, cropped
from quietpet.registration.volume import RigidTransform
from quietpet.seeds import numpy_rng

_BINS = 32
_MARGIN_MM = 15.0
_LEAST_SHARED = 0.25
"""Part of the fixed head that the moving image must cover: a sliver of overlap proves nothing."""

SEARCH = {"spacing_mm": 8.0, "fwhm_mm": 10.0}
"""Of the copies on which many positions are compared."""

_START_ANGLE_DEG = 15.0
_START_SHIFTS_MM = (-75.0, -50.0, -25.0, 25.0, 50.0, 75.0)
"""Along the body, where two images show different parts of head and neck."""

_RIVAL_SHIFT_MM = 35.0
_RIVALS = 4
"""So many of the most similar places elsewhere are improved before they are compared."""

_STEP_DEG, _STEP_MM, _EVALUATIONS = 8.0, 8.0, 160

_HEAD_POINTS = 4000
"""So many of a head's positions tell how much of it an image shows, and how far it moved."""


@dataclass(frozen=True, kw_only=True)
class Similarity:
    """How alike two images are under a transform, on coarse copies of both; make it by :meth:`of`.

    ``positions_mm`` (n, 3) are points in and around the fixed head, ``fixed_bins`` (n,) the bins of the
    fixed image there, and ``head_mm`` (m, 3) some of the head itself.
    """

    positions_mm: np.ndarray
    fixed_bins: np.ndarray
    head_mm: np.ndarray
    moving: Volume

    @classmethod
    def of(
        cls,
        fixed: Volume,
        moving: Volume,
        *,
        head_mm: np.ndarray,
        spacing_mm: float,
        fwhm_mm: float,
    ) -> Similarity:
        """Of two images smoothed alike, around the positions (m, 3) of the fixed head.

        Points are moved at random within the voxels of the fixed copy, so that *both* images are
        interpolated under every transform. On a plain grid, neither would be under the identity of two
        images on one grid, and its mutual information would be too large (Likar and Pernus, Image and
        Vision Computing 19:33, 2001).
        """
        fixed = cropped(fixed, head_mm, margin_mm=_MARGIN_MM)
        fixed, moving = (
            coarsened(each, spacing_mm=spacing_mm, fwhm_mm=fwhm_mm) for each in (fixed, moving)
        )
        shape = fixed.values.shape
        indices = np.indices(shape).reshape(3, -1).T
        rng = numpy_rng(0, "registration", "similarity")
        points = np.clip(indices + rng.uniform(-0.5, 0.5, indices.shape), 0, np.array(shape) - 1)
        return cls(
            positions_mm=fixed.world_mm(points),
            fixed_bins=_bins(_interpolated(fixed, points), fixed.values),
            head_mm=head_mm[:: max(len(head_mm) // _HEAD_POINTS, 1)],
            moving=moving,
        )

    def nmi(self, transform: RigidTransform) -> float:
        """(H(A) + H(B)) / H(A, B): 1 for independent images, 2 for equal ones.

        Studholme et al., Pattern Recognition 32:71 (1999); entropies of 32 x 32 bins over the points
        that lie in the moving image, 1 if that holds less than a quarter of the fixed head.
        """
        # One product for each point, and axes first: this is called some hundred times for a scan.
        to_indices = np.linalg.inv(self.moving.affine_ras_mm) @ transform.fixed_to_moving
        rotation, shift = to_indices[:3, :3], to_indices[:3, 3:]
        if self.moving.holds(rotation @ self.head_mm.T + shift).mean() < _LEAST_SHARED:
            return 1.0
        there = rotation @ self.positions_mm.T + shift
        shared = self.moving.holds(there)
        moving = _interpolated(self.moving, there[:, shared].T)
        pairs = _BINS * self.fixed_bins[shared] + _bins(moving, self.moving.values)
        joint = np.bincount(pairs, minlength=_BINS**2).reshape(_BINS, _BINS)
        together = _entropy(joint)
        return (
            (_entropy(joint.sum(axis=0)) + _entropy(joint.sum(axis=1))) / together if together else 1.0
        )


def starting_transform(
    similarity: Similarity, *, fixed_centre_mm: np.ndarray, moving_centre_mm: np.ndarray
) -> RigidTransform:
    """The most similar of a few positions: as the headers say or centre upon centre, turned or not.

    Centres do not meet where one image shows the neck and the other does not: then further up or down.
    """
    apart_mm = moving_centre_mm - fixed_centre_mm
    turns = [np.zeros(3), *(sign * _START_ANGLE_DEG * axis for axis in np.eye(3) for sign in (1, -1))]
    up_mm = [np.array((0, 0, shift)) for shift in _START_SHIFTS_MM]
    shifts = [np.zeros(3), apart_mm, *(apart_mm + each for each in up_mm)]
    candidates = [
        RigidTransform.from_rotation(
            euler_deg=turn, translation_mm=translation, centre_mm=fixed_centre_mm
        )
        for translation, turn in itertools.product(shifts, turns)
    ]
    return max(candidates, key=similarity.nmi)


def best_rival(
    found: RigidTransform,
    *,
    search: Similarity,
    judge: Similarity,
    centres_mm: tuple[np.ndarray, np.ndarray],
    least_mm: float,
) -> RigidTransform | None:
    """The most similar place (to ``judge``) at least ``least_mm`` from what was found, if there is one.

    A local optimum looks well from nearby. So the head is turned by every right angle, against ``found``
    and against the headers with centre upon centre (``centres_mm``: of the fixed and the moving head),
    and shifted; the most similar of these are improved on the copies of ``search``.
    """
    head_mm = search.head_mm
    candidates = sorted(_elsewhere(found, centres_mm), key=search.nmi, reverse=True)
    # First come the places that are no rivals: those around the one that was found.
    _, *promising = _distinct([found, *candidates], at_least_mm=least_mm, head_mm=head_mm)
    improved = (_improved(each, search, centre_mm=centres_mm[0]) for each in promising)
    distant = [each for each in improved if _mean_mm(each, found, head_mm) >= least_mm]
    return max(distant, key=judge.nmi, default=None)


def _elsewhere(
    found: RigidTransform, centres_mm: tuple[np.ndarray, np.ndarray]
) -> Iterable[RigidTransform]:
    fixed_centre, moving_centre = centres_mm
    yield found.inverse  # a transform that was written in the other direction
    upon = RigidTransform.from_rotation(translation_mm=moving_centre - fixed_centre)
    for rotation in Rotation.create_group("O").as_matrix():
        turned = _turned(rotation, centre_mm=fixed_centre)
        yield from (found @ turned, upon @ turned)
    for axis, sign in itertools.product(np.eye(3), (1, -1)):
        yield found @ RigidTransform.from_rotation(translation_mm=sign * _RIVAL_SHIFT_MM * axis)


def _turned(rotation: np.ndarray, *, centre_mm: np.ndarray) -> RigidTransform:
    matrix = np.eye(4)
    matrix[:3, :3], matrix[:3, 3] = rotation, centre_mm - rotation @ centre_mm
    return RigidTransform(fixed_to_moving=matrix)


def _distinct(
    candidates: Sequence[RigidTransform], *, at_least_mm: float, head_mm: np.ndarray
) -> list[RigidTransform]:
    """The first, and the few next ones that lie apart from it and from each other."""
    chosen: list[RigidTransform] = []
    for each in candidates:
        if all(_mean_mm(each, other, head_mm) >= at_least_mm for other in chosen):
            chosen.append(each)
        if len(chosen) > _RIVALS:
            break
    return chosen


def _improved(start: RigidTransform, similarity: Similarity, *, centre_mm: np.ndarray) -> RigidTransform:
    """The transform of greatest NMI near ``start``, to some millimetres (Powell's method)."""

    def moved(parameters: np.ndarray) -> RigidTransform:
        return start @ RigidTransform.from_rotation(
            euler_deg=_STEP_DEG * parameters[:3],
            translation_mm=_STEP_MM * parameters[3:],
            centre_mm=centre_mm,
        )

    best = optimize.minimize(
        lambda parameters: -similarity.nmi(moved(parameters)),
        np.zeros(6),
        method="Powell",
        options={"xtol": 0.1, "ftol": 1e-4, "maxfev": _EVALUATIONS},
    )
    return moved(best.x)


def _mean_mm(first: RigidTransform, second: RigidTransform, head_mm: np.ndarray) -> float:
    return float(first.distance_mm(second, head_mm).mean())


def _interpolated(volume: Volume, indices: np.ndarray) -> np.ndarray:
    return ndimage.map_coordinates(volume.values, indices.T, order=1, mode="nearest")


def _bins(values: np.ndarray, of: np.ndarray) -> np.ndarray:
    """Number of the bin of each value, of 32 equal ones over the range of the image ``of``."""
    low, high = float(of.min()), float(of.max())
    width = (high - low) / _BINS or 1.0
    return np.clip((values - low) / width, 0, _BINS - 1).astype(np.intp)


def _entropy(counts: np.ndarray) -> float:
    """Shannon entropy [nat] of a histogram."""
    probabilities = counts[counts > 0] / counts.sum()
    return float(-np.sum(probabilities * np.log(probabilities)))
