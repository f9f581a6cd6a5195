"""Heun's method, deterministic (Karras et al. 2022, Algorithm 1)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from quietpet.diffusion.sampler import Denoiser, Draw, Sampler
from quietpet.diffusion.walk import Walk

if TYPE_CHECKING:
    import torch


def sample(denoise: Denoiser, walk: Walk, draw: Draw) -> torch.Tensor:
    """The probability flow from the starting noise, of second order with two network evaluations per
    stride; unfit for fewer than 25 strides.

    In x_t / signal against spread / signal its slope is the estimated noise; a stride follows the mean
    of its slopes at both ends. The last stride takes the slope at its start: at t = 0 there is no noise
    to estimate.
    """
    noisy = draw()
    for stride in walk.strides:
        here, there = stride.here, stride.there
        clean = denoise(noisy, stride.start)
        ahead = stride.flow(noisy, clean)
        if stride.end > 0:
            length = there.spread - there.signal * here.spread / here.signal
            change = there.noise(ahead, denoise(ahead, stride.end)) - here.noise(noisy, clean)
            ahead = ahead + 0.5 * length * change
        noisy = ahead
    return noisy


SAMPLER = Sampler(
    sample=sample,
    words="Heun",
    spacings=("quadratic",),
    evaluations_per_stride=2,
)
