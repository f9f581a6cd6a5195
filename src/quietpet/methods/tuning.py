"""How a number that is not trained by gradient is chosen on the validation slices."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence

import numpy as np
import torch
from scipy.optimize import minimize, minimize_scalar

from quietpet.data.pairs import Batch
from quietpet.errors import InputError

Restorations = Callable[[float], Iterable[torch.Tensor]]
"""From a candidate number to the restored validation slices (slice, 1, y, x), batch by batch."""


def least_error(
    restorations: Restorations,
    validation: Sequence[Batch],
    *,
    bounds: tuple[float, float],
    tolerance: float,
) -> float:
    """The number within ``bounds`` whose restorations have the least NMSE."""
    found = minimize_scalar(
        lambda number: mean_nmse(restorations(number), validation),
        bounds=bounds,
        method="bounded",
        options={"xatol": tolerance},
    )
    return float(found.x)


def least_errors(
    restorations: Callable[[Sequence[float]], Iterable[torch.Tensor]],
    validation: Sequence[Batch],
    *,
    bounds: Sequence[tuple[float, float]],
    tolerance: float,
) -> tuple[float, ...]:
    """As many numbers as ``bounds``, each within its own, of least NMSE together."""
    if len(bounds) == 1:
        return (
            least_error(
                lambda number: restorations([number]), validation, bounds=bounds[0], tolerance=tolerance
            ),
        )
    lower, upper = np.transpose(bounds)
    middle, quarter = (lower + upper) / 2, (upper - lower) / 4
    found = minimize(
        lambda numbers: mean_nmse(restorations(list(numbers)), validation),
        middle,
        method="Nelder-Mead",
        bounds=list(bounds),
        options={
            "initial_simplex": middle + np.vstack([-quarter / 2, np.diag(quarter)]),
            "xatol": tolerance,
            "fatol": math.inf,
        },
    )
    return tuple(map(float, found.x))


def mean_nmse(restored: Iterable[torch.Tensor], validation: Sequence[Batch]) -> float:
    """Mean over slices of :func:`nmse_of_slices`, the criterion by which all methods are selected."""
    per_slice = [
        nmse_of_slices(images, batch.standard)
        for images, batch in zip(restored, validation, strict=True)
    ]
    return float(torch.cat(per_slice).mean())


def nmse_of_slices(restored: torch.Tensor, standard: torch.Tensor) -> torch.Tensor:
    """sum (x - y)^2 / sum y^2 of each slice (slice, 1, y, x), float64, on the CPU.

    x is restored and clipped at zero as the stage ``restore`` does, y the standard dose.
    """
    difference, energy = (
        images.square().sum(dim=(1, 2, 3)).double().cpu()
        for images in (restored.float().clamp(min=0) - standard.float(), standard.float())
    )
    return difference / energy


def activity_weighted_rms(image: Callable[[Batch], torch.Tensor], validation: Sequence[Batch]) -> float:
    """Root mean square of an image of each slice, its pixels weighing as the low-dose activity.

    So it is that of the head, whatever square around it is seen.

    Raises:
        InputError: the image is zero wherever there is activity.
    """
    weighted = sum(float((each.low * image(each).square()).sum()) for each in validation)
    weight = sum(float(each.low.sum()) for each in validation)
    if not weighted * weight > 0:
        raise InputError("validation: low and standard dose are empty or equal; nothing to learn.")
    return (weighted / weight) ** 0.5
