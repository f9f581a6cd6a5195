"""The forward process and the two ways to say what a network predicts (Ho et al. 2020)."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from quietpet.methods.diffusion.schedule import Schedule


def draw_times(count: int, schedule: Schedule, generator: torch.Generator) -> torch.Tensor:
    """Diffusion times uniform on 1 .. T, int64 (count,), on the CPU."""
    return torch.randint(1, schedule.timesteps + 1, (count,), generator=generator)


def diffuse(
    clean: torch.Tensor, times: torch.Tensor, noise: torch.Tensor, schedule: Schedule
) -> torch.Tensor:
    """x_t = sqrt(alpha_bar_t) x_0 + sqrt(1 - alpha_bar_t) epsilon (Eq. 7); one time per slice."""
    signal, spread = _levels(times, clean, schedule)
    return signal * clean + spread * noise


def clean_from_noise(
    noisy: torch.Tensor, times: torch.Tensor, noise: torch.Tensor, schedule: Schedule
) -> torch.Tensor:
    """The x_0 that Eq. 7 turns into ``noisy`` with ``noise``."""
    signal, spread = _levels(times, noisy, schedule)
    return (noisy - spread * noise) / signal


def draw_noise(
    shape: Sequence[int], generators: Sequence[torch.Generator], device: torch.device
) -> torch.Tensor:
    """Standard normal noise of ``shape`` (slice, ...); slice ``i`` comes from ``generators[i]`` alone.

    Drawn on the CPU, so that batch size and device change no sample.
    """
    if len(generators) != shape[0]:
        raise ValueError(f"{shape[0]} slices need as many generators, got {len(generators)}")
    return torch.stack([torch.randn(*shape[1:], generator=each) for each in generators]).to(device)


def _levels(
    times: torch.Tensor, images: torch.Tensor, schedule: Schedule
) -> tuple[torch.Tensor, torch.Tensor]:
    """sqrt(alpha_bar_t) and sqrt(1 - alpha_bar_t), each (slice, 1, 1, 1)."""
    alpha_bar = torch.from_numpy(schedule.alpha_bar)[times.cpu()].reshape(-1, 1, 1, 1)
    return alpha_bar.sqrt().to(images), (1 - alpha_bar).sqrt().to(images)
