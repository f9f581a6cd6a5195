"""Four smooth slices with noise, for networks."""

from __future__ import annotations

import torch

from quietpet.data.pairs import Batch


def noisy_batch(*, pixels: int = 32) -> Batch:
    """Standard dose, the same with noise as low dose, and its reverse as T1."""
    generator = torch.Generator().manual_seed(0)
    drawn = torch.rand(4, 1, pixels, pixels, generator=generator)
    standard = torch.nn.functional.avg_pool2d(4 * drawn, 5, 1, 2)
    low = (standard + 0.3 * torch.randn(standard.shape, generator=generator)).clamp(min=0)
    return Batch(
        low=low,
        standard=standard,
        t1=3 - standard,
        has_t1=torch.ones(4, dtype=torch.bool),
        scale=torch.ones(4),
        keys=("a", "b", "c", "d"),
        pixel_mm=2.0,
    )
