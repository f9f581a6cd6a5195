"""A diffusion of images, as training and sampling need it; the network is the caller's."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import torch
from torch import nn

from quietpet.config.diffusion import DiffusionSettings
from quietpet.diffusion.sampler import Sampler
from quietpet.diffusion.samplers import SAMPLERS
from quietpet.diffusion.schedule import SCHEDULES, Level, Schedule
from quietpet.diffusion.walk import Walk, plan_walk
from quietpet.methods.blocks.parametrisation import PARAMETRISATIONS, Parametrisation

Predictor = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]
"""A network: (x_t, times), times int64 (slice,), to its prediction, of the shape of x_t."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Noised:
    """What a network learns from: ``images`` x_t, int64 ``times`` (slice,), and what it should predict.

    ``images`` and ``target`` are (slice, 1, y, x).
    """

    images: torch.Tensor
    times: torch.Tensor
    target: torch.Tensor


@dataclass(frozen=True, kw_only=True, eq=False)
class Diffusion:
    """Forward process, parametrisation and sampler of one method."""

    schedule: Schedule
    parametrisation: Parametrisation
    sampler: Sampler
    walk: Walk

    @classmethod
    def of(cls, settings: DiffusionSettings) -> Diffusion:
        """What ``settings`` name."""
        schedule = SCHEDULES[settings.schedule](settings.timesteps)
        return cls(
            schedule=schedule,
            parametrisation=PARAMETRISATIONS[settings.prediction],
            sampler=SAMPLERS[settings.sampler],
            walk=plan_walk(schedule, steps=settings.sampling_steps, spacing=settings.spacing),
        )

    def noised(self, clean: torch.Tensor, generator: torch.Generator) -> Noised:
        """``clean`` (slice, 1, y, x) at one random time per slice.

        Times and noise are drawn on the CPU from ``generator``.
        """
        times = draw_times(len(clean), self.schedule, generator)
        noise = sent(torch.randn(clean.shape, generator=generator), clean.device)
        level = levels(times, clean, self.schedule)
        return Noised(
            images=level.noisy(clean, noise),
            times=sent(times, clean.device),
            target=self.parametrisation.target(clean, noise, level),
        )

    def loss(self, predict: Predictor, clean: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
        """Mean square error of the prediction at one random time per slice (Ho et al. 2020, Eq. 14)."""
        noised = self.noised(clean, generator)
        return nn.functional.mse_loss(predict(noised.images, noised.times), noised.target)

    def sample(
        self,
        predict: Predictor,
        *,
        shape: Sequence[int],
        generators: Sequence[torch.Generator],
        device: torch.device,
    ) -> torch.Tensor:
        """One sample per slice, of ``shape`` (slice, 1, y, x); slice ``i`` draws from its generator."""

        def denoise(noisy: torch.Tensor, time: int) -> torch.Tensor:
            times = torch.full((len(noisy),), time, device=noisy.device)
            return self.parametrisation.clean(predict(noisy, times), noisy, self.schedule.level(time))

        return self.sampler(denoise, self.walk, partial(draw_noise, shape, generators, device))


def draw_times(count: int, schedule: Schedule, generator: torch.Generator) -> torch.Tensor:
    """Diffusion times uniform on 1 .. T, int64 (count,), on the CPU."""
    return torch.randint(1, schedule.timesteps + 1, (count,), generator=generator)


def draw_noise(
    shape: Sequence[int], generators: Sequence[torch.Generator], device: torch.device
) -> torch.Tensor:
    """Standard normal noise of ``shape`` (slice, ...); slice ``i`` comes from ``generators[i]`` alone.

    Drawn on the CPU, so that batch size and device change no sample.
    """
    if len(generators) != shape[0]:
        raise ValueError(f"{shape[0]} slices need as many generators, got {len(generators)}")
    noise = torch.stack([torch.randn(*shape[1:], generator=each) for each in generators])
    return sent(noise, device)


def levels(times: torch.Tensor, images: torch.Tensor, schedule: Schedule) -> Level:
    """Signal and spread at one time per slice, on the device and in the precision of ``images``."""
    alpha_bar = torch.from_numpy(schedule.alpha_bar)[times.cpu()].reshape(-1, 1, 1, 1)
    signal, spread = (
        sent(part.to(images.dtype), images.device) for part in (alpha_bar.sqrt(), (1 - alpha_bar).sqrt())
    )
    return Level(signal=signal, spread=spread)


def sent(drawn: torch.Tensor, device: torch.device) -> torch.Tensor:
    """What was drawn on the CPU, on ``device``; the CPU does not wait for the work a GPU has before it.

    Only copies from page-locked memory leave the CPU free to prepare the next step meanwhile.
    """
    return (drawn.pin_memory() if device.type == "cuda" else drawn).to(device, non_blocking=True)
