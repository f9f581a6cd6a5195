"""DPM-Solver++(2M), deterministic (Lu et al. 2022, Algorithm 2)."""

from __future__ import annotations

from math import isfinite
from typing import TYPE_CHECKING

from quietpet.diffusion.sampler import Denoiser, Draw, Sampler
from quietpet.diffusion.walk import Walk

if TYPE_CHECKING:
    import torch


def sample(denoise: Denoiser, walk: Walk, draw: Draw) -> torch.Tensor:
    """The probability flow from the starting noise by DPM-Solver++(2M), of second order.

    Each stride is that of DDIM with the estimate of x_0 extrapolated, linearly in log(signal / spread),
    from the last two to the middle of the stride. The first stride has no earlier estimate, the last no
    middle: both are of first order.
    """
    noisy, earlier, earlier_rise = draw(), None, 0.0
    for stride in walk.strides:
        clean = middle = denoise(noisy, stride.start)
        if earlier is not None and isfinite(stride.rise):
            middle = clean + stride.rise / (2 * earlier_rise) * (clean - earlier)
        noisy = stride.flow(noisy, middle)
        earlier, earlier_rise = clean, stride.rise
    return noisy


SAMPLER = Sampler(
    sample=sample,
    words="DPM-Solver++(2M)",
    spacings=("log_snr",),
)
