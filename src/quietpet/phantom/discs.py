"""Lesions of known place, size and contrast in single slices: discs in white matter, in PET alone.

A direct plane of the simulation sees a slice and not its neighbours, so that the disc in which it cuts
a lesion is all that it measures of it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from quietpet.config.realisations import LesionSetSettings
from quietpet.errors import InputError
from quietpet.geometry.grid import ImageGrid
from quietpet.phantom.tissues import Tissue

_SAMPLES = 16
"""Points along each side of a pixel, by which the part of it that a disc covers is counted."""


@dataclass(frozen=True, kw_only=True)
class Disc:
    """A lesion of one slice; ``number`` starts at 1.

    ``centre_mm`` is its distance from the scanner axis to the back and to the right: along rows (y) and
    columns (x). Its activity is 1 + ``contrast`` times that of white matter.
    """

    number: int
    radius_mm: float
    contrast: float
    centre_mm: tuple[float, float]


def place_discs(
    labels: np.ndarray,
    settings: LesionSetSettings,
    *,
    grid: ImageGrid,
    rng_of: Callable[[int], np.random.Generator],
    where: str,
) -> tuple[Disc, ...]:
    """The lesions of ``settings`` in a slice of tissue ``labels`` (y, x), centred on pixels of it.

    Each lies wholly in white matter, at a place that is drawn by ``rng_of`` its number; where none is
    large enough, it lies where white matter is deepest. ``where`` names the slice.

    Raises:
        InputError: no white matter is left outside the lesions before and the gap around them, or one
            is too small to be half of any pixel.
    """
    white = labels == Tissue.WHITE_MATTER
    # Depths are those of pixel centres; the border runs half a pixel before the next tissue's centre.
    depth_mm = (ndimage.distance_transform_edt(white) - 0.5) * grid.pixel_mm
    discs: list[Disc] = []
    for number, (radius_mm, contrast) in enumerate(settings.lesions, start=1):
        if 2 * np.pi * radius_mm**2 < grid.pixel_mm**2:
            raise InputError(
                f"realisations.lesion_sets: a lesion of {radius_mm:g} mm covers less than half of a "
                f"pixel of {grid.pixel_mm:g} mm; raise it in radii_mm."
            )
        free = white & ~_taken(discs, radius_mm + settings.gap_mm, grid=grid)
        if not free.any():
            raise InputError(
                f"{where}: no white matter is left for lesion {number} of {len(settings.lesions)}, of "
                f"{radius_mm:g} mm; lower realisations.lesion_sets' radii_mm, contrasts or gap_mm, or "
                "name another slice."
            )
        enough_mm = min(radius_mm, depth_mm[free].max())
        rows, columns = np.nonzero(free & (depth_mm >= enough_mm))
        chosen = rng_of(number).integers(rows.size)
        centre_mm = (float(grid.axis_mm[rows[chosen]]), float(grid.axis_mm[columns[chosen]]))
        discs.append(Disc(number=number, radius_mm=radius_mm, contrast=contrast, centre_mm=centre_mm))
    return tuple(discs)


def coverage(disc: Disc, *, grid: ImageGrid) -> np.ndarray:
    """Part of each pixel (y, x) that lies in ``disc``, float32."""
    within = (np.arange(_SAMPLES) + 0.5) / _SAMPLES - 0.5
    covered = np.zeros((grid.n_pixels, grid.n_pixels), np.float32)
    box, points = [], []
    for centre_mm in disc.centre_mm:
        reached = np.flatnonzero(abs(grid.axis_mm - centre_mm) <= disc.radius_mm + grid.pixel_mm)
        box.append(slice(reached[0], reached[-1] + 1))
        points.append((grid.axis_mm[reached, None] + within * grid.pixel_mm - centre_mm).ravel())
    inside = points[0][:, None] ** 2 + points[1] ** 2 <= disc.radius_mm**2
    pixels = inside.reshape(len(points[0]) // _SAMPLES, _SAMPLES, -1, _SAMPLES)
    covered[tuple(box)] = pixels.mean(axis=(1, 3))
    return covered


def paint_discs(
    activity: np.ndarray, discs: Sequence[Disc], *, white_matter: float, grid: ImageGrid
) -> np.ndarray:
    """The ``activity`` (y, x) of a slice with lesions, float32.

    A pixel that a lesion covers in part has so much of its activity.
    """
    painted = activity.astype(np.float32)
    for disc in discs:
        part = coverage(disc, grid=grid)
        painted += part * (np.float32((1 + disc.contrast) * white_matter) - painted)
    return painted


def disc_numbers(discs: Sequence[Disc], *, grid: ImageGrid) -> np.ndarray:
    """Number of the lesion that covers half of a pixel or more, 0 elsewhere, uint8, (y, x)."""
    numbers = np.zeros((grid.n_pixels, grid.n_pixels), np.uint8)
    for disc in discs:
        numbers[coverage(disc, grid=grid) >= 0.5] = disc.number
    return numbers


def _taken(discs: Sequence[Disc], around_mm: float, *, grid: ImageGrid) -> np.ndarray:
    """Pixels (y, x) whose distance to the edge of any disc is below ``around_mm``."""
    taken = np.zeros((grid.n_pixels, grid.n_pixels), bool)
    for disc in discs:
        row_mm, column_mm = disc.centre_mm
        distance_mm = np.hypot(grid.axis_mm[:, None] - row_mm, grid.axis_mm - column_mm)
        taken |= distance_mm < disc.radius_mm + around_mm
    return taken
