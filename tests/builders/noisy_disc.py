"""Two noisy slices of a disc with a core, with their sinograms: for methods that reconstruct."""

from __future__ import annotations

from dataclasses import replace

import torch

from quietpet.acquisition.measurement import Measurement
from quietpet.acquisition.model import AcquisitionModel
from quietpet.data.pairs import Batch
from quietpet.recon.osem import osem


def disc(side: int) -> torch.Tensor:
    """Two tissues (y, x): 1 in a disc, 3 in its core."""
    steps = torch.arange(side) - side // 2
    radius = torch.hypot(steps[:, None].float(), steps[None].float())
    return (radius < 9).float() + 2.0 * (radius < 5)


def measured_batch(
    tissue: torch.Tensor, model: AcquisitionModel, *, scale: float, pixel_mm: float
) -> Batch:
    """``tissue`` (y, x) and four fifths of it, in units of ``scale``; T1 shows the tissue.

    ``model``, of two slices, is made so insensitive that its counts are noisy.
    """
    activity = scale * torch.stack([tissue, 0.8 * tissue])
    model = replace(model, multiplicative=model.multiplicative * 2e-3)
    prompts = torch.poisson(model.expected(activity), generator=torch.Generator().manual_seed(0))
    low = osem(prompts, model, iterations=6, subsets=4)
    return Batch(
        low=low[:, None] / scale,
        standard=activity[:, None] / scale,
        t1=tissue.expand(2, 1, -1, -1),
        has_t1=torch.ones(2, dtype=torch.bool),
        scale=torch.full((2,), scale),
        keys=("a", "b"),
        pixel_mm=pixel_mm,
        measurement=Measurement(prompts=prompts, model=model),
    )
