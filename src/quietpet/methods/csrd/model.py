"""CSRD: conditional score-based residual diffusion (Yoon et al. 2024), with the design of EDM."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial

import torch
from torch import nn

from quietpet.data.pairs import Batch
from quietpet.diffusion.samplers import SAMPLERS
from quietpet.diffusion.walk import Walk
from quietpet.methods.base import Restorer
from quietpet.methods.blocks.diffusion import draw_noise, sent
from quietpet.methods.blocks.edm import (
    USUAL_SIGMA_DATA,
    Preconditioning,
    denoiser_of,
    draw_sigma,
    noise_levels,
    walk_of,
)
from quietpet.methods.blocks.inputs import seen
from quietpet.methods.csrd.network import ScoreNetwork
from quietpet.methods.csrd.settings import Settings
from quietpet.methods.tuning import activity_weighted_rms


class CSRD(Restorer):
    """Diffuses standard minus low dose; ``sigma_data`` is its standard deviation in the head."""

    sigma_data: torch.Tensor

    def __init__(self, settings: Settings) -> None:
        super().__init__()
        self._settings = settings
        self.network = ScoreNetwork(
            inputs=1 + len(settings.inputs),  # the noisy residual first
            channels=settings.channels,
            multipliers=settings.multipliers,
            blocks=settings.blocks,
            dropout=settings.dropout,
        )
        self._walk = _walk(settings)
        self.register_buffer("sigma_data", torch.full((), USUAL_SIGMA_DATA))

    def groups(self) -> Mapping[str, list[nn.Parameter]]:
        return {"network": list(self.network.parameters())}

    def tune(self, validation: Sequence[Batch]) -> None:
        """Measure sigma_data: the activity-weighted root mean square of the residual."""
        self.sigma_data.fill_(activity_weighted_rms(_residual, validation))

    def loss(self, batch: Batch, group: str, generator: torch.Generator) -> torch.Tensor:
        """EDM's loss at one random noise level per slice."""
        clean = _residual(batch)
        sigma = draw_sigma(
            len(clean),
            log_mean=self._settings.log_sigma_mean,
            log_std=self._settings.log_sigma_std,
            generator=generator,
        )
        noise = torch.randn(clean.shape, generator=generator)
        design = Preconditioning(sigma_data=self.sigma_data)
        return design.loss(
            partial(self._predict, condition=self._condition(batch)),
            clean,
            sent(noise, clean.device),
            self.sigma_data * sent(sigma / USUAL_SIGMA_DATA, clean.device),
        )

    def restore(self, batch: Batch, generators: Sequence[torch.Generator]) -> torch.Tensor:
        """The low-dose image plus one sample of the residual per slice, (slice, 1, y, x).

        All but the network computes in float64, as in EDM's code: noise of 160 sigma_data is to end in
        an image.
        """
        width = self.sigma_data.double()
        design = Preconditioning(sigma_data=width)
        predict = partial(self._predict, condition=self._condition(batch))

        def denoised(noisy: torch.Tensor, sigma: float) -> torch.Tensor:
            """In units of sigma_data, as the levels of the walk."""
            levels = (sigma * width).expand(len(noisy), 1, 1, 1)
            return design.denoised(predict, noisy * width, levels) / width

        def draw() -> torch.Tensor:
            return draw_noise(batch.low.shape, generators, batch.low.device).double()

        sampler = SAMPLERS[self._settings.sampler]
        residual = sampler(denoiser_of(denoised, self._walk), self._walk, draw)
        return batch.low + (width * residual).to(batch.low.dtype)

    def _condition(self, batch: Batch) -> torch.Tensor:
        """T1, if it is seen, and the low-dose image (slice, channel, y, x)."""
        return torch.cat(seen(batch, self._settings.inputs[::-1]), dim=1)

    def _predict(
        self, noisy: torch.Tensor, level: torch.Tensor, *, condition: torch.Tensor
    ) -> torch.Tensor:
        images = torch.cat([noisy.to(condition.dtype), condition], dim=1)
        return self.network(images, level.to(condition.dtype))


def _walk(settings: Settings) -> Walk:
    """The noise levels that sampling visits, in units of sigma_data."""
    levels = noise_levels(
        settings.sampling_steps, least=settings.sigma_min, most=settings.sigma_max, rho=settings.rho
    )
    return walk_of(levels / USUAL_SIGMA_DATA)


def _residual(batch: Batch) -> torch.Tensor:
    return batch.standard - batch.low


def build(settings: Settings) -> CSRD:
    """The untrained model."""
    return CSRD(settings)
