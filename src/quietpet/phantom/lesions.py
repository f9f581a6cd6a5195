"""Spherical lesions centred on white matter.

Source: the FB-SEM training-set builder. Its radius law, 4 + 6 * 2**u voxels of 0.5 mm with u uniform in
(0, 1), gives radii of 5 to 8 mm; spheres are not clipped to white matter, and a later sphere overwrites
an earlier one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from quietpet.config import LesionSettings
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
    white_matter = np.flatnonzero(volume.codes == Tissue.WHITE_MATTER)
    if settings.count and not white_matter.size:
        raise InputError("the label volume has no white matter to place lesions in.")
    n_hot = round(settings.hot_fraction * settings.count)
    lesions = []
    for number in range(1, settings.count + 1):
        centre = white_matter[rng.integers(white_matter.size)]
        radius_mm = settings.radius_offset_mm + settings.radius_scale_mm * 2.0 ** rng.random()
        lesions.append(
            Lesion(
                number=number,
                hot=number <= n_hot,
                voxel=tuple(int(index) for index in np.unravel_index(centre, volume.codes.shape)),
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
    return LabelVolume(codes=codes, voxel_mm=volume.voxel_mm)


def lesion_values(lesions: Sequence[Lesion], *, hot: float, cold: float) -> dict[int, float]:
    """Map value of every lesion number."""
    return {lesion.number: hot if lesion.hot else cold for lesion in lesions}
