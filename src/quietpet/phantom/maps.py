"""The maps of one phantom on the scanner's image grid."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from quietpet.config.phantoms import LesionSettings, TissueValues
from quietpet.config.regions import REGION_NAMES
from quietpet.files.lineage import Lineage
from quietpet.files.phantoms import Phantom
from quietpet.geometry.grid import ImageGrid
from quietpet.phantom.lesions import Lesion, lesion_values, paint
from quietpet.phantom.regions import RegionalUptake, region_numbers, uptake_change
from quietpet.phantom.resample import grid_index, require_inside_image, sample_linear, sample_nearest
from quietpet.phantom.tissues import LabelVolume, lesion_numbers, value_table

UNITS = {"activity": "relative", "mu_per_cm": "1/cm", "t1": "arbitrary"}


@dataclass(frozen=True, kw_only=True)
class LesionMap:
    """One modality: values (float32) and lesion numbers (uint8, 0: none), both (z, y, x)."""

    values: np.ndarray
    numbers: np.ndarray


def phantom_of(
    volume: LabelVolume,
    lesions: Mapping[str, Sequence[Lesion]],
    *,
    subject: str,
    lineage: Lineage,
    activity: TissueValues,
    mu_per_cm: TissueValues,
    t1: TissueValues,
    settings: LesionSettings,
    grid: ImageGrid,
    refinement: int = 1,
    uptake: RegionalUptake | None = None,
) -> Phantom:
    """The head of ``volume`` on ``grid``, with the ``lesions`` of "pet" and of "t1".

    With a ``refinement`` above 1, activity and attenuation are there also on so much finer pixels. With
    an ``uptake``, regions are numbered and have it, in PET alone; lesions keep their values.
    """
    fine = grid.refined(refinement) if refinement > 1 else None

    def active(pixels: ImageGrid) -> LesionMap:
        return activity_map(
            volume, lesions["pet"], values=activity, settings=settings, grid=pixels, uptake=uptake
        )

    seen = active(grid)
    signal = t1_map(volume, lesions["t1"], values=t1, settings=settings, grid=grid)
    return Phantom(
        subject=subject,
        affine_ras_mm=grid.affine_ras_mm,
        units=UNITS,
        lesions={name: describe_lesions(volume, drawn, grid=grid) for name, drawn in lesions.items()},
        lineage=lineage,
        activity=seen.values,
        mu_per_cm=attenuation_map(volume, values=mu_per_cm, grid=grid),
        t1=signal.values,
        labels=sample_nearest(volume, grid=grid),
        pet_lesions=seen.numbers,
        t1_lesions=signal.numbers,
        regions=region_numbers(paint(volume, lesions["pet"]), grid=grid) if uptake else None,
        region_names=REGION_NAMES if uptake else (),
        regional_uptake=dict(uptake.factors) if uptake else None,
        severity=uptake.severity if uptake else None,
        fine_activity=active(fine).values if fine else None,
        fine_mu_per_cm=attenuation_map(volume, values=mu_per_cm, grid=fine) if fine else None,
    )


def activity_map(
    volume: LabelVolume,
    lesions: Sequence[Lesion],
    *,
    values: TissueValues,
    settings: LesionSettings,
    grid: ImageGrid,
    uptake: RegionalUptake | None = None,
) -> LesionMap:
    """Relative activity with its PET lesions (FB-SEM: hot 1.5 grey matter, cold 0.5 white matter).

    ``uptake`` is that of the regions; without, they are as the rest.
    """
    hot, cold = settings.pet_hot * values.grey_matter, settings.pet_cold * values.white_matter
    seen = _lesion_map(volume, lesions, values=values, hot=hot, cold=cold, grid=grid)
    if uptake is None:
        return seen
    painted = paint(volume, lesions)
    change = uptake_change(painted, uptake, grey_matter=values.grey_matter, grid=grid)
    return replace(seen, values=seen.values + change)


def t1_map(
    volume: LabelVolume,
    lesions: Sequence[Lesion],
    *,
    values: TissueValues,
    settings: LesionSettings,
    grid: ImageGrid,
) -> LesionMap:
    """T1-weighted signal with its own lesions (FB-SEM: hot 1.5 white matter, cold 0.8 grey matter)."""
    hot, cold = settings.t1_hot * values.white_matter, settings.t1_cold * values.grey_matter
    return _lesion_map(volume, lesions, values=values, hot=hot, cold=cold, grid=grid)


def attenuation_map(volume: LabelVolume, *, values: TissueValues, grid: ImageGrid) -> np.ndarray:
    """Linear attenuation coefficient [1/cm], float32, (z, y, x); lesions do not change it."""
    require_inside_image(volume, grid=grid)
    return sample_linear(volume, table=value_table(values), grid=grid)


def describe_lesions(
    volume: LabelVolume, lesions: Sequence[Lesion], *, grid: ImageGrid
) -> list[dict[str, object]]:
    """JSON-able table of lesions; ``centre_index`` is (z, y, x) on ``grid``, in fractional pixels."""
    return [
        {
            "number": lesion.number,
            "hot": lesion.hot,
            "centre_index": grid_index(volume, lesion.voxel, grid=grid),
            "radius_mm": lesion.radius_mm,
        }
        for lesion in lesions
    ]


def _lesion_map(
    volume: LabelVolume,
    lesions: Sequence[Lesion],
    *,
    values: TissueValues,
    hot: float,
    cold: float,
    grid: ImageGrid,
) -> LesionMap:
    painted = paint(volume, lesions)
    table = value_table(values, lesion_values(lesions, hot=hot, cold=cold))
    return LesionMap(
        values=sample_linear(painted, table=table, grid=grid),
        numbers=lesion_numbers(sample_nearest(painted, grid=grid)),
    )
