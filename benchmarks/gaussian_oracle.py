"""Data whose diffusion is known in closed form, and what a sampler exactly makes of them.

Pixels x_0 ~ N(mean, std**2), independent of each other. Their exact denoiser is affine in x_t, so every
sampler returns an affine function of its noise draws: its mean and standard deviation follow without
sampling error. Used by the benchmark and the tests of samplers.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch

from quietpet.diffusion.sampler import Denoiser, Sampler
from quietpet.diffusion.schedule import Schedule
from quietpet.diffusion.walk import Walk


@dataclass(frozen=True, kw_only=True)
class Affine:
    """offset + sum of slopes[k] z_k over independent standard normal z_k."""

    offset: float
    slopes: tuple[float, ...]

    @property
    def mean(self) -> float:
        """Expectation."""
        return self.offset

    @property
    def std(self) -> float:
        """Standard deviation."""
        return math.hypot(*self.slopes)


@dataclass(frozen=True, kw_only=True)
class GaussianData:
    """x_0 ~ N(mean, std**2)."""

    mean: float
    std: float

    def denoiser(self, schedule: Schedule) -> Denoiser:
        """E[x_0 | x_t]: the mean, corrected by the regression of x_0 on x_t."""

        def denoise(noisy: torch.Tensor, time: int) -> torch.Tensor:
            level = schedule.level(time)
            variance = (level.signal * self.std) ** 2 + level.spread**2
            gain = level.signal * self.std**2 / variance
            return self.mean + gain * (noisy - level.signal * self.mean)

        return denoise

    def flow(self, schedule: Schedule) -> Affine:
        """Where the probability flow takes z ~ N(0, 1) from the schedule's start.

        It keeps each point's place in the marginal distribution (Song et al. 2021, the ODE of score
        models): (x_0 - mean) / std = (z - signal mean) / sqrt(signal**2 std**2 + spread**2).
        """
        level = schedule.level(schedule.start)
        slope = self.std / math.hypot(level.signal * self.std, level.spread)
        return Affine(offset=self.mean * (1 - slope * level.signal), slopes=(slope,))


def outcome(sampler: Sampler, walk: Walk, denoise: Denoiser) -> Affine:
    """The samples of an affine denoiser.

    Pixel 0 is sampled with all draws 0, pixel k with draw k put to 1.
    """
    draws = len(walk.times)  # no sampler draws more: the start and one per stride

    def draw() -> torch.Tensor:
        nonlocal drawn
        drawn += 1
        return torch.nn.functional.one_hot(torch.tensor(drawn), draws + 1).double()

    drawn = 0
    offset, *values = sampler(denoise, walk, draw).tolist()
    return Affine(offset=offset, slopes=tuple(value - offset for value in values[:drawn]))
