"""From label volumes to the scanner's image grid, by point sampling.

Trilinear interpolation without anti-aliasing, as in the FB-SEM simulations that the published study
builds on. A BrainWeb volume (181 mm high) fills slices 19 to 107 of the 127.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from quietpet.errors import InputError
from quietpet.geometry.grid import ImageGrid
from quietpet.phantom.tissues import CENTRE_MNI_MM, LabelVolume, Tissue


@dataclass(frozen=True, kw_only=True)
class _AxisSampling:
    """Where the grid's positions lie along one axis of a volume, in voxels.

    Only positions that have a neighbour in the volume are held: those of ``span``. ``lower`` (n,) is the
    neighbour below each of them (-1 at the least), ``weight`` (n,) that of the neighbour above.
    """

    span: slice
    lower: np.ndarray
    weight: np.ndarray

    @classmethod
    def at(cls, positions_mm: np.ndarray, *, voxel_mm: float, size: int) -> _AxisSampling:
        index = positions_mm / voxel_mm + (size - 1) / 2
        lower = np.floor(index).astype(np.intp)
        first, last = np.searchsorted(lower, (-1, size))
        span = slice(int(first), int(last))
        weight = (index - lower).astype(np.float32)
        return cls(span=span, lower=lower[span], weight=weight[span])

    @property
    def pairs(self) -> np.ndarray:
        """Indices of the lower and upper neighbours, shape (n, 2)."""
        return np.stack([self.lower, self.lower + 1], axis=1)

    @property
    def nearest(self) -> np.ndarray:
        return self.lower + (self.weight >= 0.5)


def sample_linear(volume: LabelVolume, *, table: np.ndarray, grid: ImageGrid) -> np.ndarray:
    """Trilinear samples of the map ``table[codes]``, float32, shape ``grid.shape``.

    ``table``: value of every code, shape (256,). Outside the volume is air.
    """
    z, y, x = _samplings(volume, grid)
    n_rows, n_columns = y.lower.size, x.lower.size
    neighbours = _gather(volume.codes, z.pairs.ravel(), y.pairs.ravel(), x.pairs.ravel())
    samples = np.empty((z.lower.size, n_rows, n_columns), np.float32)
    # One plane at a time stays in the cache.
    for k, codes in enumerate(neighbours.reshape(z.lower.size, 2, -1)):
        corners = table.take(codes)
        plane = _mix(corners[0], corners[1], z.weight[k]).reshape(n_rows, 2, 2 * n_columns)
        plane = _mix(plane[:, 0], plane[:, 1], y.weight[:, None]).reshape(n_rows, n_columns, 2)
        samples[k] = _mix(plane[..., 0], plane[..., 1], x.weight)
    image = np.full(grid.shape, table[Tissue.AIR], np.float32)
    image[z.span, y.span, x.span] = samples
    return image


def sample_nearest(volume: LabelVolume, *, grid: ImageGrid) -> np.ndarray:
    """Codes of the nearest voxels, uint8, shape ``grid.shape``; outside the volume is air."""
    z, y, x = _samplings(volume, grid)
    codes = np.full(grid.shape, Tissue.AIR, np.uint8)
    codes[z.span, y.span, x.span] = _gather(volume.codes, z.nearest, y.nearest, x.nearest)
    return codes


def mni_mm(volume: LabelVolume, *, grid: ImageGrid) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """MNI position of every pixel, mm to the right, front and top: arrays that broadcast to grid.shape.

    Beyond the volume it is that of its border.
    """
    axes_mm = (grid.slice_positions_mm, grid.axis_mm, grid.axis_mm)
    if volume.mni_mm is None:
        offsets = list(np.meshgrid(*axes_mm, indexing="ij", sparse=True))
    else:
        offsets = [_interpolated(each, axes_mm, voxel_mm=volume.voxel_mm) for each in volume.mni_mm]
    z, y, x = (each.astype(np.float32) for each in offsets)
    centre_z, centre_y, centre_x = CENTRE_MNI_MM
    # Rows run from front to back.
    return centre_x + x, centre_y - y, centre_z + z


def require_inside_image(volume: LabelVolume, *, grid: ImageGrid) -> None:
    """Refuse a head of which the square image would cut something off."""
    footprint = volume.codes.max(axis=0) != Tissue.AIR  # the lowest code
    for axis, name in ((1, "anterior-posterior"), (0, "left-right")):
        occupied = np.flatnonzero(footprint.any(axis=axis))
        if not occupied.size:
            raise InputError("the label volume holds nothing but air.")
        reach_mm = np.abs(occupied - (footprint.shape[1 - axis] - 1) / 2).max() * volume.voxel_mm
        limit_mm = float(grid.axis_mm[-1])
        if reach_mm > limit_mm:
            raise InputError(
                f"the head reaches {reach_mm:.1f} mm from the scanner axis ({name}), but an image of "
                f"{grid.n_pixels} pixels only {limit_mm:.1f} mm; raise scanner.image_pixels."
            )


def grid_index(volume: LabelVolume, voxel: tuple[int, int, int], *, grid: ImageGrid) -> list[float]:
    """Position (z, y, x) of a voxel of ``volume`` on ``grid``, in fractional pixels."""
    steps_mm = (grid.slice_mm, grid.pixel_mm, grid.pixel_mm)
    origins = ((grid.n_slices - 1) / 2, grid.centre_index, grid.centre_index)
    return [
        (index - (size - 1) / 2) * volume.voxel_mm / step_mm + origin
        for index, size, step_mm, origin in zip(
            voxel, volume.codes.shape, steps_mm, origins, strict=True
        )
    ]


def _samplings(volume: LabelVolume, grid: ImageGrid) -> tuple[_AxisSampling, ...]:
    positions = (grid.slice_positions_mm, grid.axis_mm, grid.axis_mm)
    return tuple(
        _AxisSampling.at(positions_mm, voxel_mm=volume.voxel_mm, size=size)
        for positions_mm, size in zip(positions, volume.codes.shape, strict=True)
    )


def _gather(codes: np.ndarray, z: np.ndarray, y: np.ndarray, x: np.ndarray) -> np.ndarray:
    """``codes`` at the product of three index lists; air where an index lies outside."""
    n_planes, n_rows, n_columns = codes.shape
    in_plane = np.clip(y, 0, n_rows - 1)[:, None] * n_columns + np.clip(x, 0, n_columns - 1)
    gathered = np.full((z.size, y.size, x.size), Tissue.AIR, np.uint8)
    for plane, k in zip(gathered, z, strict=True):
        if 0 <= k < n_planes:
            plane[:] = codes[k].ravel().take(in_plane)
    gathered[:, (y < 0) | (y >= n_rows)] = Tissue.AIR
    gathered[:, :, (x < 0) | (x >= n_columns)] = Tissue.AIR
    return gathered


def _interpolated(array: np.ndarray, axes_mm: Sequence[np.ndarray], *, voxel_mm: float) -> np.ndarray:
    """Trilinear samples of a smooth array at the product of three lists of positions."""
    for axis, positions_mm in enumerate(axes_mm):
        size = array.shape[axis]
        index = np.clip(positions_mm / voxel_mm + (size - 1) / 2, 0, size - 1)
        lower = np.minimum(index.astype(np.intp), size - 2)
        weight = np.expand_dims((index - lower).astype(array.dtype), [a for a in range(3) if a != axis])
        array = _mix(array.take(lower, axis), array.take(lower + 1, axis), weight)
    return array


def _mix(lower: np.ndarray, upper: np.ndarray, weight: np.ndarray) -> np.ndarray:
    return lower + weight * (upper - lower)
