"""Spherical lesions centred on white matter.

Source: the FB-SEM training-set builder. Its radius law, 4 + 6 * 2**u voxels of 0.5 mm with u uniform in
(0, 1), gives radii of 5 to 8 mm; spheres are not clipped to white matter, and a later sphere overwrites
an earlier one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from quietpet.config.phantoms import LesionSettings
from quietpet.errors import InputError
from quietpet.phantom.tissues import LESION_BASE, LabelVolume, Tissue


@dataclass(frozen=True, kw_only=True)
class Lesion:
    """One sphere; ``voxel`` (z, y, x) is its centre in the label volume, ``number`` starts at 1."""

    number: int
    hot: bool
    voxel: tuple[int, int, int]
    radius_mm: float


def draw_lesions(
    volume: LabelVolume, *, settings: LesionSettings, rng: np.random.Generator
) -> tuple[Lesion, ...]:
    """Random lesions in ``volume``; the first ``hot_fraction`` of them are hot.

    Raises:
        InputError: a volume without white matter to place them in.
    """
    in_plane = [np.count_nonzero(plane == Tissue.WHITE_MATTER) for plane in volume.codes]
    below = np.cumsum([0, *in_plane])
    if settings.count and not below[-1]:
        raise InputError("the label volume has no white matter to place lesions in.")
    n_hot = round(settings.hot_fraction * settings.count)
    lesions = []
    for number in range(1, settings.count + 1):
        # The n-th voxel of white matter in memory order, found without listing all the millions.
        nth = rng.integers(below[-1])
        z = int(np.searchsorted(below, nth, side="right")) - 1
        in_z = np.flatnonzero(volume.codes[z] == Tissue.WHITE_MATTER)
        y, x = divmod(int(in_z[nth - below[z]]), volume.codes.shape[2])
        radius_mm = settings.radius_offset_mm + settings.radius_scale_mm * 2.0 ** rng.random()
        lesions.append(
            Lesion(
                number=number,
                hot=number <= n_hot,
                voxel=(z, y, x),
                radius_mm=float(radius_mm),
            )
        )
    return tuple(lesions)


def paint(volume: LabelVolume, lesions: Sequence[Lesion]) -> LabelVolume:
    """A copy of ``volume`` in which lesion n has the code LESION_BASE + n, in the order given."""
    codes = volume.codes.copy()
    for lesion in lesions:
        radius = lesion.radius_mm / volume.voxel_mm
        reach = int(radius)
        # Only the box around the sphere is touched.
        box = tuple(
            slice(max(centre - reach, 0), min(centre + reach + 1, size))
            for centre, size in zip(lesion.voxel, codes.shape, strict=True)
        )
        z, y, x = np.ogrid[box]
        cz, cy, cx = lesion.voxel
        inside = (z - cz) ** 2 + (y - cy) ** 2 + (x - cx) ** 2 <= radius**2
        codes[box][inside] = LESION_BASE + lesion.number
    return replace(volume, codes=codes)


def lesion_values(lesions: Sequence[Lesion], *, hot: float, cold: float) -> dict[int, float]:
    """Map value of every lesion number."""
    return {lesion.number: hot if lesion.hot else cold for lesion in lesions}
