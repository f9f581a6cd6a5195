"""Brain regions as ellipsoids in MNI space, and the uptake of their grey matter in one subject.

The regions are those in which Alzheimer's disease lowers the uptake of FDG, and one that it spares.
Their centres lie within some millimetres of those of regions of the AAL atlas (Tzourio-Mazoyer et al.,
NeuroImage 15:273 (2002)): posterior cingulum and precuneus; angular gyrus; middle and inferior temporal
gyrus; hippocampus and parahippocampal gyrus; pre- and postcentral gyrus. The first three are also where
Landau et al., Neurobiol Aging 32:1207 (2011) measure FDG. Ellipsoids stand in for an atlas, which no
dependency ships: of each, the head's own grey matter belongs to the region.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from quietpet.config.regions import REGION_NAMES, RegionSettings
from quietpet.geometry.grid import ImageGrid
from quietpet.phantom.resample import mni_mm, sample_linear, sample_nearest
from quietpet.phantom.tissues import CENTRE_MNI_MM, LabelVolume, Tissue

EDGE_MM = 8.0
"""Around an ellipsoid the change of uptake fades over this width, about the resolution of the images."""

WELL_INSIDE = 0.7
"""Of the vertical semi-axis: within it, a slice cuts an ellipsoid over at least 0.71 of its width."""

_LARGEST_Z = 3.0
"""Draws of the variation end here [standard deviations], so that no uptake is negative."""


@dataclass(frozen=True, kw_only=True)
class Ellipsoid:
    """Centre and semi-axes (x, y, z) in MNI space, mm to the right, front and top."""

    centre_mm: tuple[float, float, float]
    semi_axes_mm: tuple[float, float, float]

    def radius(self, xyz_mm: tuple[np.ndarray, ...], *, wider_mm: float = 0.0) -> np.ndarray:
        """Distance from the centre in units of the surface's, of semi-axes ``wider_mm`` longer."""
        squared = (
            ((position - np.float32(centre)) / np.float32(axis + wider_mm)) ** 2
            for position, centre, axis in zip(xyz_mm, self.centre_mm, self.semi_axes_mm, strict=True)
        )
        return np.sqrt(sum(squared))


def _both_sides(
    *, centre_mm: tuple[float, float, float], semi_axes_mm: tuple[float, float, float]
) -> tuple[Ellipsoid, ...]:
    """An ellipsoid of the right half of the brain, and its mirror image."""
    x, y, z = centre_mm
    return tuple(Ellipsoid(centre_mm=(s * x, y, z), semi_axes_mm=semi_axes_mm) for s in (1, -1))


ELLIPSOIDS: Mapping[str, tuple[Ellipsoid, ...]] = {
    "posterior_cingulate_precuneus": (
        Ellipsoid(centre_mm=(0.0, -52.0, 34.0), semi_axes_mm=(14.0, 15.0, 18.0)),
    ),
    "inferior_parietal": _both_sides(centre_mm=(46.0, -60.0, 36.0), semi_axes_mm=(15.0, 14.0, 15.0)),
    "lateral_temporal": _both_sides(centre_mm=(56.0, -34.0, -12.0), semi_axes_mm=(12.0, 20.0, 13.0)),
    "medial_temporal": _both_sides(centre_mm=(25.0, -19.0, -15.0), semi_axes_mm=(10.0, 18.0, 11.0)),
    "sensorimotor": _both_sides(centre_mm=(42.0, -15.0, 50.0), semi_axes_mm=(14.0, 14.0, 12.0)),
}


@dataclass(frozen=True, kw_only=True)
class RegionalUptake:
    """Of one subject: severity of its disease, and the factor of each region's grey-matter uptake."""

    severity: float
    factors: Mapping[str, float]


def draw_uptake(
    settings: RegionSettings, *, rng_of: Callable[..., np.random.Generator]
) -> RegionalUptake:
    """Uptake of one subject; every draw has a generator of its own, ``rng_of`` its name.

    A factor is (1 + variation z) (1 - severity reduction), z standard normal within 3.
    """
    disease = settings.disease
    severity = float(rng_of("severity").uniform(*disease.severity)) if disease else 0.0
    factors = {}
    for name in REGION_NAMES:
        z = np.clip(rng_of("uptake", name).standard_normal(), -_LARGEST_Z, _LARGEST_Z)
        lost = severity * getattr(disease.reductions, name) if disease else 0.0
        factors[name] = float((1 + settings.variation * z) * (1 - lost))
    return RegionalUptake(severity=severity, factors=factors)


def region_numbers(volume: LabelVolume, *, grid: ImageGrid) -> np.ndarray:
    """Number of each pixel's region, uint8 of ``grid.shape``; 0 outside, and where no grey matter is."""
    xyz_mm = mni_mm(volume, grid=grid)
    numbers = np.zeros(grid.shape, np.uint8)
    for number, name in enumerate(REGION_NAMES, start=1):
        for ellipsoid in ELLIPSOIDS[name]:
            numbers[ellipsoid.radius(xyz_mm) <= 1] = number
    numbers[sample_nearest(volume, grid=grid) != Tissue.GREY_MATTER] = 0
    return numbers


def slices_through(name: str, *, grid: ImageGrid, within: float = 1.0) -> list[int]:
    """Slices of ``grid`` that cut the ellipsoids of a region, in a head that lies in MNI space.

    ``within`` this part of the vertical semi-axis from the centre.
    """
    z_mm = CENTRE_MNI_MM[0] + grid.slice_positions_mm
    return [
        index
        for index, height_mm in enumerate(z_mm)
        if any(
            abs(height_mm - each.centre_mm[2]) < within * each.semi_axes_mm[2]
            for each in ELLIPSOIDS[name]
        )
    ]


def uptake_change(
    volume: LabelVolume, uptake: RegionalUptake, *, grey_matter: float, grid: ImageGrid
) -> np.ndarray:
    """What regions add to an activity map, float32 of ``grid.shape``; exactly 0 far from all of them.

    Grey matter has the activity ``grey_matter``, of which pixels have their share as in the map itself.
    It changes by the whole factor within the ellipsoids, and smoothly less over ``EDGE_MM`` around them.
    """
    table = np.zeros(256, np.float32)
    table[Tissue.GREY_MATTER] = grey_matter
    xyz_mm = mni_mm(volume, grid=grid)
    change = np.zeros(grid.shape, np.float32)
    for name, factor in uptake.factors.items():
        for ellipsoid in ELLIPSOIDS[name] if factor != 1 else ():
            change += np.float32(factor - 1) * _faded(ellipsoid, xyz_mm)
    return change * sample_linear(volume, table=table, grid=grid)


def _faded(ellipsoid: Ellipsoid, xyz_mm: tuple[np.ndarray, ...]) -> np.ndarray:
    """1 inside, 0 beyond ``EDGE_MM``, half a cosine between the two surfaces."""
    beyond = np.maximum(ellipsoid.radius(xyz_mm) - 1, 0)
    before = np.maximum(1 - ellipsoid.radius(xyz_mm, wider_mm=EDGE_MM), 0)
    # Nothing is inside the inner surface and outside the outer one, so that the sum is not 0.
    return ((1 + np.cos(np.pi * (beyond / (beyond + before)))) / 2).astype(np.float32)
