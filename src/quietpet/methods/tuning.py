"""How a number that is not trained by gradient is chosen on the validation slices."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

import torch
from scipy.optimize import minimize_scalar

from quietpet.data.pairs import Batch

Restorations = Callable[[float], Iterable[torch.Tensor]]
"""From a candidate number to the restored validation slices (slice, 1, y, x), batch by batch."""


def least_error(
    restorations: Restorations,
    validation: Sequence[Batch],
    *,
    bounds: tuple[float, float],
    tolerance: float,
) -> float:
    """The number within ``bounds`` whose restorations have the least mean squared error."""
    found = minimize_scalar(
        lambda number: mean_squared_error(restorations(number), validation),
        bounds=bounds,
        method="bounded",
        options={"xatol": tolerance},
    )
    return float(found.x)


def mean_squared_error(restored: Iterable[torch.Tensor], validation: Sequence[Batch]) -> float:
    """Mean squared difference to the standard dose, in scaled units, each slice weighing alike."""
    per_slice = [
        (images - batch.standard).square().mean(dim=(1, 2, 3))
        for images, batch in zip(restored, validation, strict=True)
    ]
    return float(torch.cat(per_slice).double().mean())
