"""Where the slices of the configuration lie on the T1 grid of one scan."""

from __future__ import annotations

import numpy as np

from quietpet.config.invivo import SlicePlaneSettings
from quietpet.errors import InputError


def slice_numbers(
    settings: SlicePlaneSettings, *, shape: tuple[int, int, int], affine_ras_mm: np.ndarray, file: str
) -> list[int]:
    """Indices along the third axis of a grid in RAS order, nearest to the configured millimetres.

    On a grid of the configured number and distance of slices they are the configured indices.

    Raises:
        InputError: the grid is not in RAS order, or has no slice there; names ``file``.
    """
    directions = affine_ras_mm[:3, :3] / np.linalg.norm(affine_ras_mm[:3, :3], axis=0)
    if (np.diag(directions) <= np.abs(directions - np.diag(np.diag(directions))).max(axis=0)).any():
        raise InputError(
            f"{file}: its axes do not run to the right, anterior and up, so its third axis is not the "
            "one that invivo.slices cuts. Import it again."
        )
    slice_mm = float(np.linalg.norm(affine_ras_mm[:3, 2]))
    numbers = [
        round((shape[2] - 1) / 2 + offset_mm / slice_mm + 1e-9) for offset_mm in settings.offsets_mm
    ]
    if beyond := [number for number in numbers if not 0 <= number < shape[2]]:
        raise InputError(
            f"{file}: has {shape[2]} slices of {slice_mm:g} mm, none at {beyond}; choose invivo.slices "
            "nearer to the middle."
        )
    return numbers
