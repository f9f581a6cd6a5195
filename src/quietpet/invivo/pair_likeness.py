"""Whether a low dose shows the head of the standard dose, where that lies, from other counts."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.ndimage import gaussian_filter, map_coordinates

from quietpet.geometry.volume import Volume
from quietpet.units import sigma_from_fwhm

_COARSE_MM = 4.0
"""Side of the voxels on which heads are compared, a third of the smoothing."""

_SMOOTHED_MM = 12.0
"""FWHM: anatomy is left, and the noise of a few per cent of the counts is not."""

_OUTLINE = 0.2
"""Of the 95th percentile of what is above 0; smoothed activity above it is the head."""


@dataclass(frozen=True, kw_only=True)
class Likeness:
    """A low dose against the standard one, on the voxels of the standard dose.

    ``difference`` is ``|low / ratio - standard| / |standard|`` with the ``ratio`` that makes it least,
    of values as they are: 0 for the same image, whatever its factor. The others are correlations of both
    smoothed, within the outline of the standard dose's head, 0 of an even image: ``correlation`` where
    they lie, ``centred`` with their centres of activity on each other, and ``mirrored`` with left and
    right of the low dose exchanged besides.
    """

    difference: float
    correlation: float
    centred: float
    mirrored: float


def likeness(standard: Volume, low: Volume) -> Likeness:
    """Of two images [Bq/mL] in one world, on whatever voxels; outside its field of view low is 0."""
    smooth, smooth_low = _smoothed(standard), _smoothed(low)
    indices = _coarse(standard)
    places_mm, head = standard.world_mm(indices.T), smooth.values[tuple(indices)].astype(np.float64)
    inside = head > _OUTLINE * np.percentile(head[head > 0], 95)
    centre_mm, low_centre_mm = _centre_mm(smooth), _centre_mm(smooth_low)
    from_centre_mm, across = places_mm[inside] - centre_mm, _left_to_right(standard)
    mirrored_mm = from_centre_mm - 2 * np.outer(from_centre_mm @ across, across)
    correlation, centred, mirrored = (
        _correlation(head[inside], _at(smooth_low, places))
        for places in (places_mm[inside], low_centre_mm + from_centre_mm, low_centre_mm + mirrored_mm)
    )
    values = standard.values[tuple(indices)].astype(np.float64)
    return Likeness(
        difference=_difference(values, _at(low, places_mm)),
        correlation=correlation,
        centred=centred,
        mirrored=mirrored,
    )


def _coarse(image: Volume) -> np.ndarray:
    """Indices (3, n) of every so many voxels that they are about ``_COARSE_MM`` apart."""
    steps = np.maximum(1, np.round(_COARSE_MM / image.voxel_mm)).astype(int)
    chosen = np.indices([-(-size // step) for size, step in zip(image.values.shape, steps, strict=True)])
    return np.asarray(chosen.reshape(3, -1) * steps[:, None])


def _centre_mm(image: Volume) -> np.ndarray:
    """Centre of activity, (3,)."""
    indices = _coarse(image)
    weights = image.values[tuple(indices)].clip(min=0).astype(np.float64)
    return np.asarray(weights @ image.world_mm(indices.T) / weights.sum())


def _left_to_right(image: Volume) -> np.ndarray:
    """Unit vector along the axis of voxels that is nearest to the world's from left to right."""
    axes = image.affine_ras_mm[:3, :3] / image.voxel_mm
    return np.asarray(axes[:, np.abs(axes[0]).argmax()])


def _smoothed(image: Volume) -> Volume:
    sigma = sigma_from_fwhm(_SMOOTHED_MM) / image.voxel_mm
    values = gaussian_filter(image.values, sigma, mode="constant", truncate=3.0)
    return Volume(values=values, affine_ras_mm=image.affine_ras_mm)


def _at(image: Volume, places_mm: np.ndarray) -> np.ndarray:
    """Values at world positions (n, 3), interpolated linearly; 0 outside."""
    indices = image.indices(places_mm).T
    found = map_coordinates(image.values, indices, order=1, mode="grid-constant", output=np.float64)
    return np.asarray(found)


def _difference(standard: np.ndarray, low: np.ndarray) -> float:
    square = low @ low
    scaled = low * ((standard @ low) / square) if square > 0 else low
    return float(np.linalg.norm(scaled - standard) / np.linalg.norm(standard))


def _correlation(standard: np.ndarray, low: np.ndarray) -> float:
    apart, low_apart = standard - standard.mean(), low - low.mean()
    norm = np.linalg.norm(apart) * np.linalg.norm(low_apart)
    return float(apart @ low_apart / norm) if norm > 0 else 0.0
