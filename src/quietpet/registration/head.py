"""Coarse copies of an image, and where the head is in it."""

from __future__ import annotations

import numpy as np
from scipy import ndimage
from skimage.filters import threshold_otsu

from quietpet.errors import InputError
from quietpet.geometry.volume import Volume
from quietpet.units import sigma_from_fwhm

_SPACING_MM, _FWHM_MM = 4.0, 8.0
_OF_OTSU = 0.4
"""Otsu's threshold lies between the brain and the rest; the scalp is darker than that in PET."""

_BRIGHTEST_MM3, _BRIGHTEST_SHARE = 3e5, 0.1
_OF_BRIGHT = 2.0
"""What is brighter than this many times the brightest tenth of a head tells nothing of its place."""

_SCALP_MM, _BELOW_VERTEX_MM = 12.0, 130.0
"""Scalp and skull together, and the height of the brain with the cerebellum."""


def coarsened(volume: Volume, *, spacing_mm: float, fwhm_mm: float) -> Volume:
    """Gaussian-weighted means around the points of a coarser grid with the same axes.

    Axes whose voxels are larger than ``spacing_mm`` already keep them. The grid is centred on the image,
    and the weights of each point sum to one, at the borders too.
    """
    values, voxel_mm = np.asarray(volume.values, np.float32), volume.voxel_mm
    to_old = np.eye(4)
    for axis, step_mm in enumerate(voxel_mm):
        n, step = values.shape[axis], max(spacing_mm / step_mm, 1.0)
        n_coarse = int((n - 1) / step) + 1
        centres = (n - 1) / 2 + step * (np.arange(n_coarse) - (n_coarse - 1) / 2)
        distance_mm = step_mm * (centres[:, None] - np.arange(n))
        weights = np.exp(-0.5 * (distance_mm / sigma_from_fwhm(fwhm_mm)) ** 2).astype(np.float32)
        weights /= weights.sum(axis=1, keepdims=True)
        values = np.moveaxis(np.tensordot(weights, values, axes=(1, axis)), 0, axis)
        to_old[axis, axis], to_old[axis, 3] = step, centres[0]
    return Volume(values=values, affine_ras_mm=volume.affine_ras_mm @ to_old)


def clipped(volume: Volume) -> Volume:
    """The image without the extremes that a lesion or the bladder would give its histogram.

    Values are cut at twice what the brightest tenth of the head exceeds, on either side of 0.

    Raises:
        InputError: no voxel is above 0.
    """
    level = _OF_BRIGHT * _bright_level(coarsened(volume, spacing_mm=_SPACING_MM, fwhm_mm=_FWHM_MM))
    values = np.clip(np.asarray(volume.values, np.float32), -level, level)
    return Volume(values=values, affine_ras_mm=volume.affine_ras_mm)


def _bright_level(coarse: Volume) -> float:
    """What a tenth of the head exceeds: 0.3 litres, or a tenth of an image that shows less of it.

    It depends neither on how much air is around the head, nor on the activity of a small lesion.
    """
    positive = coarse.values[coarse.values > 0]
    if not positive.size:
        raise InputError("no voxel is above 0; is it the right image, in the right units?")
    brightest = _BRIGHTEST_MM3 / np.prod(coarse.voxel_mm)
    n = max(int(min(brightest, _BRIGHTEST_SHARE * positive.size)), 1)
    return float(np.partition(positive, -n)[-n])


def head_mm(volume: Volume) -> np.ndarray:
    """Positions every 4 mm of all that the head's outline encloses, (n, 3) RAS mm."""
    mask = head_mask(volume)
    return mask.world_mm(np.argwhere(mask.values))


def head_mask(volume: Volume) -> Volume:
    """All that the head's outline encloses, bool on a grid of 4 mm.

    The outline is that of the largest connected region above a threshold.

    Raises:
        InputError: no voxel is above 0.
    """
    coarse = coarsened(volume, spacing_mm=_SPACING_MM, fwhm_mm=_FWHM_MM)
    values = np.minimum(coarse.values, _OF_BRIGHT * _bright_level(coarse))
    regions, _ = ndimage.label(values > _OF_OTSU * threshold_otsu(values[values > 0]))
    sizes = np.bincount(regions.ravel())
    sizes[0] = 0
    filled = ndimage.binary_fill_holes(regions == sizes.argmax())
    return Volume(values=filled, affine_ras_mm=coarse.affine_ras_mm)


def inner_head_mm(mask: Volume) -> np.ndarray:
    """Roughly where the brain is: head positions below the scalp and not far below the vertex, (n, 3).

    Neck and face, which a PET of the brain need not show, do not count. Of a head without such an inside
    it is all.
    """
    depth_mm = ndimage.distance_transform_edt(mask.values, sampling=mask.voxel_mm)
    positions = mask.world_mm(np.argwhere(mask.values))
    high = positions[:, 2] > positions[:, 2].max() - _BELOW_VERTEX_MM
    inside = high & (depth_mm[mask.values] > _SCALP_MM)
    return positions[inside] if inside.any() else positions


def cropped(volume: Volume, around_mm: np.ndarray, *, margin_mm: float) -> Volume:
    """The smallest block of voxels that holds the positions (n, 3) and a margin about them."""
    indices, margin = volume.indices(around_mm), margin_mm / volume.voxel_mm
    first = np.maximum(np.floor(indices.min(axis=0) - margin).astype(int), 0)
    last = np.minimum(np.ceil(indices.max(axis=0) + margin).astype(int) + 1, volume.values.shape)
    to_old = np.eye(4)
    to_old[:3, 3] = first
    return Volume(
        values=volume.values[tuple(map(slice, first, last))],
        affine_ras_mm=volume.affine_ras_mm @ to_old,
    )
