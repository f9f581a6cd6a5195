"""Samplers: functions of a denoiser and a schedule.

A denoiser maps (x_t, t), with one integer time for all slices, to its estimate of x_0. Nothing is
clipped: activity has no natural upper limit, and clipping would bias hot lesions.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import sqrt

import torch

from quietpet.methods.diffusion.process import draw_noise
from quietpet.methods.diffusion.schedule import Schedule, sampling_times

Denoiser = Callable[[torch.Tensor, int], torch.Tensor]


def sample_ddpm(
    denoise: Denoiser,
    *,
    schedule: Schedule,
    steps: int,
    shape: Sequence[int],
    generators: Sequence[torch.Generator],
    device: torch.device,
) -> torch.Tensor:
    """Ancestral sampling (Ho et al. 2020), images of ``shape`` (slice, 1, y, x).

    A stride from t to s draws from the exact q(x_s | x_t, x_0), i.e. Ho's Eq. 7 with the alpha and beta
    of the whole stride. With ``steps`` = T this is Eq. 8 of MFdiff, sigma_t**2 being the variance of q.
    """
    noisy = draw_noise(shape, generators, device)
    for time, target in sampling_times(schedule.timesteps, steps):
        at_time, at_target = (float(schedule.alpha_bar[each]) for each in (time, target))
        alpha = at_time / at_target
        beta = 1 - alpha
        of_clean = sqrt(at_target) * beta / (1 - at_time)
        of_noisy = sqrt(alpha) * (1 - at_target) / (1 - at_time)
        noisy = of_clean * denoise(noisy, time) + of_noisy * noisy
        if target > 0:
            variance = beta * (1 - at_target) / (1 - at_time)
            noisy = noisy + sqrt(variance) * draw_noise(shape, generators, device)
    return noisy


def sample_ddim(
    denoise: Denoiser,
    *,
    schedule: Schedule,
    steps: int,
    shape: Sequence[int],
    generators: Sequence[torch.Generator],
    device: torch.device,
) -> torch.Tensor:
    """Deterministic sampling (Song et al. 2021, Eq. 12 with sigma = 0), images of ``shape``.

    Only the starting noise is random; every stride keeps the noise that its estimate of x_0 implies.
    """
    noisy = draw_noise(shape, generators, device)
    for time, target in sampling_times(schedule.timesteps, steps):
        at_time, at_target = (float(schedule.alpha_bar[each]) for each in (time, target))
        clean = denoise(noisy, time)
        noise = (noisy - sqrt(at_time) * clean) / sqrt(1 - at_time)
        noisy = sqrt(at_target) * clean + sqrt(1 - at_target) * noise
    return noisy


SAMPLERS = {"ddpm": sample_ddpm, "ddim": sample_ddim}
"""Samplers by their name in the settings; all have the same signature."""
