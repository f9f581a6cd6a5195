"""Rigid transforms of volumes in world coordinates, RAS+ in mm, and the one way to resample."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
from scipy import ndimage
from scipy.spatial.transform import Rotation

from quietpet.errors import InputError
from quietpet.geometry.volume import EDGE_VOXELS, Volume, mapped

Triple = Sequence[float] | np.ndarray
"""Numbers for x, y and z."""

_RIGID_TOLERANCE = 1e-4
"""Largest deviation of R^T R from the identity; SPM keeps its matrices in single precision."""


@dataclass(frozen=True, kw_only=True)
class RigidTransform:
    """Where each world position of the fixed image (T1) lies in the world of the moving one (PET).

    ``fixed_to_moving`` is 4 x 4, from RAS mm to RAS mm: the direction in which images are resampled, and
    that of ITK's transforms.

    Raises:
        ValueError: the matrix is not a rotation and a translation.
    """

    fixed_to_moving: np.ndarray

    def __post_init__(self) -> None:
        matrix = self.fixed_to_moving
        if matrix.shape != (4, 4) or not np.isfinite(matrix).all():
            raise ValueError(f"not a finite 4 x 4 matrix: {matrix}")
        rotation = matrix[:3, :3]
        skew = np.abs(rotation.T @ rotation - np.eye(3)).max()
        if skew > _RIGID_TOLERANCE or np.linalg.det(rotation) < 0 or (matrix[3] != (0, 0, 0, 1)).any():
            raise ValueError(f"not a rotation and a translation: {matrix.tolist()}")

    @classmethod
    def identity(cls) -> Self:
        return cls(fixed_to_moving=np.eye(4))

    @classmethod
    def from_rotation(
        cls,
        *,
        euler_deg: Triple = (0.0, 0.0, 0.0),
        translation_mm: Triple = (0.0, 0.0, 0.0),
        centre_mm: Triple = (0.0, 0.0, 0.0),
    ) -> Self:
        """Rotate about fixed x, then y, then z axes through ``centre_mm``, then translate."""
        matrix = np.eye(4)
        matrix[:3, :3] = Rotation.from_euler("xyz", euler_deg, degrees=True).as_matrix()
        centre = np.asarray(centre_mm, float)
        matrix[:3, 3] = centre + translation_mm - matrix[:3, :3] @ centre
        return cls(fixed_to_moving=matrix)

    @property
    def inverse(self) -> Self:
        matrix = np.eye(4)
        rotation = self.fixed_to_moving[:3, :3].T
        matrix[:3, :3], matrix[:3, 3] = rotation, -rotation @ self.fixed_to_moving[:3, 3]
        return type(self)(fixed_to_moving=matrix)

    @property
    def rotation_deg(self) -> float:
        """Angle of the rotation, about whatever axis."""
        return float(np.degrees(Rotation.from_matrix(self.fixed_to_moving[:3, :3]).magnitude()))

    def __matmul__(self, first: RigidTransform) -> RigidTransform:
        """The transform that applies ``first``, and then this one."""
        return RigidTransform(fixed_to_moving=self.fixed_to_moving @ first.fixed_to_moving)

    def apply(self, world_mm: np.ndarray) -> np.ndarray:
        """Positions in the moving image's world of positions (n, 3) in the fixed image's."""
        return mapped(self.fixed_to_moving, world_mm)

    def distance_mm(self, other: RigidTransform, world_mm: np.ndarray) -> np.ndarray:
        """How far apart two transforms place each position, (n,); with the truth, the TRE."""
        return np.linalg.norm(self.apply(world_mm) - other.apply(world_mm), axis=1)


def resample(moving: Volume, transform: RigidTransform, *, like: Volume) -> Volume:
    """``moving`` on the voxels of ``like``, by trilinear interpolation; 0 outside its field of view.

    Linear weights are positive and sum to one, so that no voxel of a PET image becomes negative and
    uniform regions keep their value.
    """
    to_index = np.linalg.inv(moving.affine_ras_mm) @ transform.fixed_to_moving @ like.affine_ras_mm
    shape = like.values.shape
    values = ndimage.affine_transform(
        np.asarray(moving.values, np.float32),
        to_index[:3, :3],
        to_index[:3, 3],
        output_shape=shape,
        output=np.float32,
        order=1,
        mode="nearest",
    )
    values[_outside(to_index, shape, of=moving.values.shape)] = 0
    return Volume(values=values, affine_ras_mm=like.affine_ras_mm)


def _outside(to_index: np.ndarray, shape: Sequence[int], *, of: Sequence[int]) -> np.ndarray:
    """Which voxels (i, j, k) of a grid lie beyond the outermost voxel centres of an image, bool."""
    steps = [axis.astype(np.float32) for axis in np.ogrid[tuple(slice(0, n, 1) for n in shape)]]
    outside = np.zeros(shape, bool)
    for row, n in zip(to_index[:3].astype(np.float32), of, strict=True):
        index = sum((factor * step for factor, step in zip(row[:3], steps, strict=True)), start=row[3])
        outside |= (index < -EDGE_VOXELS) | (index > n - 1 + EDGE_VOXELS)
    return outside


def require_image(volume: Volume, what: str) -> None:
    """Refuse what no engine can register, and what some engines accept without a word.

    Raises:
        InputError: NaN or infinity, or the same value everywhere.
    """
    bad = np.count_nonzero(~np.isfinite(volume.values))
    if bad:
        raise InputError(
            f"{what}: {bad} of {volume.values.size} voxels are not finite; repair or exclude this scan."
        )
    lowest, highest = float(volume.values.min()), float(volume.values.max())
    if lowest == highest:
        raise InputError(
            f"{what}: every voxel is {lowest:g}, there is nothing to register; "
            "is it the right file, and the right frame?"
        )
