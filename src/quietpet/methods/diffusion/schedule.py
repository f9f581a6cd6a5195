"""How much noise each diffusion time carries, and which times a sampler visits."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np


@dataclass(frozen=True, kw_only=True, eq=False)
class Schedule:
    """``alpha_bar[t]`` for t = 0 .. T, shape (T + 1,), float64: 1 at t = 0 (data), near 0 at t = T."""

    alpha_bar: np.ndarray

    @property
    def timesteps(self) -> int:
        """T, the number of diffusion steps."""
        return len(self.alpha_bar) - 1


def linear_schedule(timesteps: int, *, beta_first: float = 1e-4, beta_last: float = 0.02) -> Schedule:
    """beta_t rising linearly (Ho et al. 2020); alpha_bar_t = prod of 1 - beta_i up to t (Eq. 7)."""
    betas = np.linspace(beta_first, beta_last, timesteps)
    return Schedule(alpha_bar=np.concatenate([[1.0], np.cumprod(1.0 - betas)]))


def sampling_times(timesteps: int, steps: int) -> list[tuple[int, int]]:
    """Pairs (t, s), t > s, of a walk from T to 0 in ``steps`` strides as equal as integers allow."""
    if not 1 <= steps <= timesteps:
        raise ValueError(f"sampling steps must be between 1 and the {timesteps} timesteps, got {steps}")
    visited = np.linspace(timesteps, 0, steps + 1).round().astype(int).tolist()
    return list(pairwise(visited))
