"""Transaxial slices through images of any position: the pixels of a network's images in the world."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from quietpet.geometry.volume import Volume
from quietpet.registration.volume import RigidTransform


@dataclass(frozen=True, kw_only=True)
class SlicePixels:
    """Square slices of T1: rows run from front to back, columns to the right, as in :class:`ImageGrid`.

    ``middle_mm`` (3,) is the RAS position that pixel (n // 2, n // 2) has at offset 0, ``axes`` (3, 3)
    are the unit vectors along which T1's voxels lie, to the right, front and top.
    """

    middle_mm: np.ndarray
    axes: np.ndarray
    pixels: int
    pixel_mm: float

    @classmethod
    def of(
        cls, t1: Volume, *, centre_mm: np.ndarray, pixels: int, pixel_mm: float | None
    ) -> SlicePixels:
        """Slices of a T1 image in RAS order; offsets count from the middle of its third axis.

        ``centre_mm`` (3,) gives the middle within a slice, such as that of the head. Without
        ``pixel_mm`` pixels are as large as T1's voxels.
        """
        voxel_mm = t1.voxel_mm
        axes = (t1.affine_ras_mm[:3, :3] / voxel_mm).T
        middle_mm = t1.world_mm((np.array([t1.values.shape]) - 1) / 2)[0]
        within_slice = axes[:2] @ (centre_mm - middle_mm)
        return cls(
            middle_mm=middle_mm + within_slice @ axes[:2],
            axes=axes,
            pixels=pixels,
            pixel_mm=float(voxel_mm[0]) if pixel_mm is None else pixel_mm,
        )

    def positions_mm(self, *, offset_mm: float, angle_deg: float) -> np.ndarray:
        """RAS positions in T1's world of the pixels of one slice, (y, x, 3).

        The head appears turned by ``angle_deg`` counter-clockwise, with row 0 at the top.
        """
        step_mm = (np.arange(self.pixels) - self.pixels // 2) * self.pixel_mm
        right, front = np.meshgrid(step_mm, -step_mm)
        cosine, sine = np.cos(np.deg2rad(angle_deg)), np.sin(np.deg2rad(angle_deg))
        along = (cosine * right + sine * front, cosine * front - sine * right)
        return self.middle_mm + np.stack([*along, np.full_like(right, offset_mm)], axis=-1) @ self.axes


def sampled(
    image: Volume, positions_mm: np.ndarray, *, through: RigidTransform | None = None
) -> np.ndarray:
    """The image at positions (y, x, 3), trilinearly, float32 (y, x); 0 outside its field of view.

    ``through`` takes the positions to the world of the image.
    """
    points = positions_mm.reshape(-1, 3)
    points = points if through is None else through.apply(points)
    values = ndimage.map_coordinates(
        np.asarray(image.values, np.float32),
        image.indices(points).T,
        order=1,
        mode="nearest",
        output=np.float32,
    )
    return np.where(image.contains(points), values, 0).reshape(positions_mm.shape[:-1])


def smoothed_for(image: Volume, pixel_mm: float) -> Volume:
    """The image averaged over pixels of that size, where its own voxels are smaller.

    A box of one pixel about each voxel's centre, within the slice: sampling finer details at that
    distance would alias them. Whatever the size, the box is symmetric, so that nothing moves.
    """
    values = np.asarray(image.values, np.float32)
    for axis in (0, 1):
        weights = _box_weights(pixel_mm / image.voxel_mm[axis])
        values = ndimage.correlate1d(values, weights, axis=axis, mode="constant")
    return Volume(values=values, affine_ras_mm=image.affine_ras_mm)


def _box_weights(width: float) -> np.ndarray:
    """Part of each voxel that a box of ``width`` voxels covers, centred on one; they sum to one."""
    width = max(width, 1.0)
    reach = int(np.ceil((width - 1) / 2))
    distance = np.abs(np.arange(-reach, reach + 1))
    return np.clip(width / 2 - (distance - 0.5), 0, 1) / width
