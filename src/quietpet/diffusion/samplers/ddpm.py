"""DDPM (Ho et al. 2020)."""

from __future__ import annotations

from math import sqrt
from typing import TYPE_CHECKING

from quietpet.diffusion.sampler import Denoiser, Draw, Sampler
from quietpet.diffusion.walk import Walk

if TYPE_CHECKING:
    import torch


def sample(denoise: Denoiser, walk: Walk, draw: Draw) -> torch.Tensor:
    """Ancestral, with fresh noise at every stride.

    A stride from t to s draws from the exact q(x_s | x_t, x_0), i.e. Ho's Eq. 7 with the alpha and beta
    of the whole stride. Visiting all T times this is Eq. 8 of MFdiff, sigma_t**2 the variance of q.
    """
    noisy = draw()
    for stride in walk.strides:
        here, there = stride.here, stride.there
        kept = here.signal / there.signal
        beta = 1 - kept**2
        of_clean = there.signal * beta / here.spread**2
        of_noisy = kept * there.spread**2 / here.spread**2
        noisy = of_clean * denoise(noisy, stride.start) + of_noisy * noisy
        if stride.end > 0:
            noisy = noisy + sqrt(beta) * there.spread / here.spread * draw()
    return noisy


SAMPLER = Sampler(
    sample=sample,
    words="DDPM",
    spacings=("uniform", "quadratic"),
)
