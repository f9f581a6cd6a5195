"""How much signal and noise each diffusion time carries."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from types import MappingProxyType
from typing import TYPE_CHECKING, Literal

import numpy as np

if TYPE_CHECKING:
    import torch

START_LOG_SNR = -5.1
"""Sampling starts at the time whose log(signal / spread) is nearest to this; as DPM-Solver's authors do.

Ho's linear schedule ends at -5.06. Nichol and Dhariwal's cosine ends near -9.9, where an estimate of x_0
from the noise would magnify the error of a network 20 000 times.
"""


@dataclass(frozen=True, kw_only=True)
class Level:
    """Parts of x_t = signal x_0 + spread epsilon (Eq. 7); signal**2 + spread**2 = 1.

    Numbers for one diffusion time, or tensors (slice, 1, 1, 1) for one per slice.
    """

    signal: float | torch.Tensor
    spread: float | torch.Tensor

    def noisy(self, clean: torch.Tensor, noise: torch.Tensor) -> torch.Tensor:
        """x_t of x_0 and epsilon."""
        return self.signal * clean + self.spread * noise

    def noise(self, noisy: torch.Tensor, clean: torch.Tensor) -> torch.Tensor:
        """The epsilon that turns x_0 into x_t; not at t = 0."""
        return (noisy - self.signal * clean) / self.spread


@dataclass(frozen=True, kw_only=True, eq=False)
class Schedule:
    """``alpha_bar[t]`` for t = 0 .. T, shape (T + 1,), float64: 1 at t = 0 (data), near 0 at t = T."""

    alpha_bar: np.ndarray

    @property
    def timesteps(self) -> int:
        """T, the number of diffusion steps."""
        return len(self.alpha_bar) - 1

    @cached_property
    def log_snr(self) -> np.ndarray:
        """log(signal / spread) for t = 0 .. T, falling from infinity: lambda_t of Lu et al. (2022)."""
        with np.errstate(divide="ignore"):
            return 0.5 * (np.log(self.alpha_bar) - np.log1p(-self.alpha_bar))

    @property
    def start(self) -> int:
        """The time at which sampling starts; T unless the schedule goes far deeper into noise."""
        return 1 + int(np.argmin(np.abs(self.log_snr[1:] - START_LOG_SNR)))

    def level(self, time: int) -> Level:
        """Signal and spread at ``time``."""
        alpha_bar = float(self.alpha_bar[time])
        return Level(signal=alpha_bar**0.5, spread=(1 - alpha_bar) ** 0.5)


ScheduleName = Literal["linear", "cosine"]


def linear_schedule(timesteps: int, *, beta_first: float = 1e-4, beta_last: float = 0.02) -> Schedule:
    """beta_t rising linearly (Ho et al. 2020); alpha_bar_t = prod of 1 - beta_i up to t (Eq. 7)."""
    return _of_betas(np.linspace(beta_first, beta_last, timesteps))


def cosine_schedule(timesteps: int, *, offset: float = 0.008, beta_most: float = 0.999) -> Schedule:
    """alpha_bar_t proportional to cos((t / T + s) / (1 + s) pi / 2)**2 (Nichol & Dhariwal 2021, Eq. 17).

    ``beta_most`` clips beta_t, which would reach 1 at t = T, where no signal would be left.
    """
    angles = (np.linspace(0, 1, timesteps + 1) + offset) / (1 + offset) * np.pi / 2
    curve = np.cos(angles) ** 2
    return _of_betas(np.minimum(1 - curve[1:] / curve[:-1], beta_most))


def _of_betas(betas: np.ndarray) -> Schedule:
    return Schedule(alpha_bar=np.concatenate([[1.0], np.cumprod(1.0 - betas)]))


SCHEDULES: Mapping[ScheduleName, Callable[[int], Schedule]] = MappingProxyType(
    {"linear": linear_schedule, "cosine": cosine_schedule}
)
"""Schedules of T diffusion steps by their name in the settings."""
