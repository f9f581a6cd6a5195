"""DDIM, deterministic (Song et al. 2021, Eq. 12 with sigma = 0)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from quietpet.diffusion.sampler import Denoiser, Draw, Sampler
from quietpet.diffusion.walk import Walk

if TYPE_CHECKING:
    import torch


def sample(denoise: Denoiser, walk: Walk, draw: Draw) -> torch.Tensor:
    """The probability flow from the starting noise, of first order.

    Only that noise is random; every stride keeps the noise that its estimate of x_0 implies.
    """
    noisy = draw()
    for stride in walk.strides:
        noisy = stride.flow(noisy, denoise(noisy, stride.start))
    return noisy


SAMPLER = Sampler(
    sample=sample,
    words="DDIM",
    spacings=("uniform", "quadratic"),
)
