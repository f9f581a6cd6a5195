"""3-D images in world coordinates.

World is RAS+ in mm, as in NIfTI: x to the subject's right, y anterior, z superior. An index (i, j, k) is
that of the array's axes, and integers are voxel centres.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

EDGE_VOXELS = 1e-4
"""By which rounding may put a position beyond the outermost voxel centres, as of images on one grid."""


@dataclass(frozen=True, kw_only=True)
class Volume:
    """A 3-D image: ``values`` (i, j, k), and the 4 x 4 matrix that takes indices to RAS mm."""

    values: np.ndarray
    affine_ras_mm: np.ndarray

    def __post_init__(self) -> None:
        if self.values.ndim != 3:
            raise ValueError(f"a volume has three axes, not {self.values.ndim}")
        if self.affine_ras_mm.shape != (4, 4):
            raise ValueError(f"an affine is 4 x 4, not {self.affine_ras_mm.shape}")

    @property
    def voxel_mm(self) -> np.ndarray:
        """Lengths of the three index steps, shape (3,)."""
        return np.linalg.norm(self.affine_ras_mm[:3, :3], axis=0)

    def world_mm(self, indices: np.ndarray) -> np.ndarray:
        """World positions of ``indices``, both (n, 3)."""
        return mapped(self.affine_ras_mm, indices)

    def indices(self, world_mm: np.ndarray) -> np.ndarray:
        """Fractional indices of world positions, both (n, 3)."""
        return mapped(np.linalg.inv(self.affine_ras_mm), world_mm)

    def contains(self, world_mm: np.ndarray) -> np.ndarray:
        """Which world positions (n, 3) lie between the outermost voxel centres, bool (n,)."""
        return self.holds(self.indices(world_mm).T)

    def holds(self, indices: np.ndarray) -> np.ndarray:
        """Which fractional indices (3, n) lie between the outermost voxel centres, bool (n,)."""
        inside = np.ones(indices.shape[1], dtype=bool)
        for index, size in zip(indices, self.values.shape, strict=True):
            inside &= (index >= -EDGE_VOXELS) & (index <= size - 1 + EDGE_VOXELS)
        return inside


def missing_t1(grid: Volume) -> Volume:
    """What stands for the T1 of a scan that has none: NaN on the voxels of ``grid``, that of its PET.

    An image that was acquired has numbers somewhere, so that neither is ever taken for the other.
    """
    return Volume(
        values=np.full(grid.values.shape, np.nan, np.float32), affine_ras_mm=grid.affine_ras_mm
    )


def is_missing(t1: Volume) -> bool:
    """Whether it is a :func:`missing_t1`."""
    return bool(np.isnan(t1.values).all())


def mapped(matrix: np.ndarray, points: np.ndarray) -> np.ndarray:
    """Points (n, 3) after a 4 x 4 ``matrix``."""
    return points @ matrix[:3, :3].T + matrix[:3, 3]
