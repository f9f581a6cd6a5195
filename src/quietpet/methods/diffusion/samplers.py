"""Samplers: functions of a denoiser, a walk and a source of noise.

A denoiser maps (x_t, t), with one integer time for all slices, to its estimate of x_0. Nothing is
clipped: activity has no natural upper limit, and clipping would bias hot lesions.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from math import isfinite, sqrt
from types import MappingProxyType
from typing import Protocol

import torch

from quietpet.methods.diffusion.options import SamplerName
from quietpet.methods.diffusion.walk import Stride, Walk

Denoiser = Callable[[torch.Tensor, int], torch.Tensor]


class Sampler(Protocol):
    """Samples of x_0, of the shape that ``draw`` gives standard normal noise in."""

    def __call__(
        self, denoise: Denoiser, walk: Walk, draw: Callable[[], torch.Tensor]
    ) -> torch.Tensor: ...


def sample_ddpm(denoise: Denoiser, walk: Walk, draw: Callable[[], torch.Tensor]) -> torch.Tensor:
    """Ancestral sampling (Ho et al. 2020).

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


def sample_ddim(denoise: Denoiser, walk: Walk, draw: Callable[[], torch.Tensor]) -> torch.Tensor:
    """Deterministic sampling of first order (Song et al. 2021, Eq. 12 with sigma = 0).

    Only the starting noise is random; every stride keeps the noise that its estimate of x_0 implies.
    """
    noisy = draw()
    for stride in walk.strides:
        noisy = _flow(noisy, denoise(noisy, stride.start), stride)
    return noisy


def sample_dpmpp_2m(denoise: Denoiser, walk: Walk, draw: Callable[[], torch.Tensor]) -> torch.Tensor:
    """DPM-Solver++(2M), deterministic, of second order (Lu et al. 2022, Algorithm 2).

    Each stride is that of DDIM with the estimate of x_0 extrapolated, linearly in log(signal / spread),
    from the last two to the middle of the stride. The first stride has no earlier estimate, the last no
    middle: both are of first order.
    """
    noisy, earlier, earlier_rise = draw(), None, 0.0
    for stride in walk.strides:
        clean = middle = denoise(noisy, stride.start)
        if earlier is not None and isfinite(stride.rise):
            middle = clean + stride.rise / (2 * earlier_rise) * (clean - earlier)
        noisy = _flow(noisy, middle, stride)
        earlier, earlier_rise = clean, stride.rise
    return noisy


def sample_heun(denoise: Denoiser, walk: Walk, draw: Callable[[], torch.Tensor]) -> torch.Tensor:
    """Heun's method, deterministic, of second order (Karras et al. 2022, Algorithm 1).

    In x_t / signal against spread / signal the slope of the probability flow is the estimated noise; a
    stride follows the mean of its slopes at both ends. The last stride takes the slope at its start: at
    t = 0 there is no noise to estimate.
    """
    noisy = draw()
    for stride in walk.strides:
        here, there = stride.here, stride.there
        clean = denoise(noisy, stride.start)
        ahead = _flow(noisy, clean, stride)
        if stride.end > 0:
            length = there.spread - there.signal * here.spread / here.signal
            change = there.noise(ahead, denoise(ahead, stride.end)) - here.noise(noisy, clean)
            ahead = ahead + 0.5 * length * change
        noisy = ahead
    return noisy


def _flow(noisy: torch.Tensor, clean: torch.Tensor, stride: Stride) -> torch.Tensor:
    """The end of the stride when the estimate of x_0 holds along it."""
    return stride.there.noisy(clean, stride.here.noise(noisy, clean))


SAMPLERS: Mapping[SamplerName, Sampler] = MappingProxyType(
    {
        "ddpm": sample_ddpm,
        "ddim": sample_ddim,
        "dpmpp_2m": sample_dpmpp_2m,
        "heun": sample_heun,
    }
)
"""Samplers by their name in the settings."""
