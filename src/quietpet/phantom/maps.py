"""The maps of one phantom on the scanner's image grid."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from quietpet.config.phantoms import LesionSettings, TissueValues
from quietpet.geometry.grid import ImageGrid
from quietpet.phantom.lesions import Lesion, lesion_values, paint
from quietpet.phantom.resample import grid_index, require_inside_image, sample_linear, sample_nearest
from quietpet.phantom.tissues import LabelVolume, lesion_numbers, value_table


@dataclass(frozen=True, kw_only=True)
class LesionMap:
    """One modality: values (float32) and lesion numbers (uint8, 0: none), both (z, y, x)."""

    values: np.ndarray
    numbers: np.ndarray


def activity_map(
    volume: LabelVolume,
    lesions: Sequence[Lesion],
    *,
    values: TissueValues,
    settings: LesionSettings,
    grid: ImageGrid,
) -> LesionMap:
    """Relative activity with its PET lesions (FB-SEM: hot 1.5 grey matter, cold 0.5 white matter)."""
    hot, cold = settings.pet_hot * values.grey_matter, settings.pet_cold * values.white_matter
    return _lesion_map(volume, lesions, values=values, hot=hot, cold=cold, grid=grid)


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
