"""MFdiff: a diffusion model conditioned on the low-dose image and on features fused from PET and T1."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from monai.networks.nets.diffusion_model_unet import DiffusionModelUNet
from torch import nn

from quietpet.data.pairs import Batch
from quietpet.errors import InputError
from quietpet.methods.base import Restorer
from quietpet.methods.blocks.fusion import FeatureFusion
from quietpet.methods.diffusion.process import (
    clean_from_noise,
    diffuse,
    draw_times,
)
from quietpet.methods.diffusion.samplers import SAMPLERS
from quietpet.methods.diffusion.schedule import linear_schedule
from quietpet.methods.mfdiff.settings import DenoiserSettings, Settings


class MFdiff(Restorer):
    """The denoiser sees concat(x_t, x_P, F) at every step (section 3.2.2).

    The diffused x_0 is ``target_gain`` times the standard-dose image, or times its difference to the
    low-dose image when the prediction is "residual".
    """

    target_gain: torch.Tensor

    def __init__(self, settings: Settings) -> None:
        super().__init__()
        self._settings = settings
        self._schedule = linear_schedule(settings.timesteps)
        self.fusion = FeatureFusion(settings.fusion)
        self.denoiser = _denoiser(settings.denoiser, in_channels=2 + settings.fusion.channels)
        self.register_buffer("target_gain", torch.ones(()))

    def groups(self) -> Mapping[str, list[nn.Parameter]]:
        return {"network": [*self.fusion.parameters(), *self.denoiser.parameters()]}

    def tune(self, validation: Sequence[Batch]) -> None:
        """Scale the diffused image to the wanted activity-weighted root mean square."""
        weighted = sum(float((each.low * self._target(each).square()).sum()) for each in validation)
        weight = sum(float(each.low.sum()) for each in validation)
        if not weighted * weight > 0:
            raise InputError("validation: low and standard dose are empty or equal; nothing to learn.")
        self.target_gain.fill_(self._settings.target_rms / (weighted / weight) ** 0.5)

    def loss(self, batch: Batch, group: str, generator: torch.Generator) -> torch.Tensor:
        """|| epsilon - epsilon_theta(x_t, t, x_P, F) ||^2 (Eq. 9), or the same of x_0; pixel mean."""
        clean = self.target_gain * self._target(batch)
        times = draw_times(len(clean), self._schedule, generator).to(clean.device)
        noise = torch.randn(clean.shape, generator=generator).to(clean.device)
        noisy = diffuse(clean, times, noise, self._schedule)
        wanted = noise if self._settings.prediction == "epsilon" else clean
        return nn.functional.mse_loss(self._predict(noisy, times, self._condition(batch)), wanted)

    def restore(self, batch: Batch, generators: Sequence[torch.Generator]) -> torch.Tensor:
        """One sample per slice, (slice, 1, y, x)."""
        condition = self._condition(batch)

        def denoise(noisy: torch.Tensor, time: int) -> torch.Tensor:
            times = torch.full((len(noisy),), time, device=noisy.device)
            predicted = self._predict(noisy, times, condition)
            if self._settings.prediction == "epsilon":
                return clean_from_noise(noisy, times, predicted, self._schedule)
            return predicted

        clean = SAMPLERS[self._settings.sampler](
            denoise,
            schedule=self._schedule,
            steps=self._settings.sampling_steps,
            shape=batch.low.shape,
            generators=generators,
            device=batch.low.device,
        )
        restored = clean / self.target_gain
        return batch.low + restored if self._settings.prediction == "residual" else restored

    def _target(self, batch: Batch) -> torch.Tensor:
        return batch.standard - batch.low if self._settings.prediction == "residual" else batch.standard

    def _condition(self, batch: Batch) -> torch.Tensor:
        """concat(x_P, F), which does not depend on t: computed once per slice."""
        return torch.cat([batch.low, self.fusion(batch.low, batch.t1)], dim=1)

    def _predict(
        self, noisy: torch.Tensor, times: torch.Tensor, condition: torch.Tensor
    ) -> torch.Tensor:
        return self.denoiser(torch.cat([noisy, condition], dim=1), timesteps=times)


def _denoiser(settings: DenoiserSettings, *, in_channels: int) -> DiffusionModelUNet:
    """The U-Net of DDPM with time embedding and self-attention (section 4.1.3)."""
    return DiffusionModelUNet(
        spatial_dims=2,
        in_channels=in_channels,
        out_channels=1,
        num_res_blocks=[settings.res_blocks] * len(settings.channels),
        channels=settings.channels,
        attention_levels=settings.attention,
        norm_num_groups=settings.norm_groups,
        num_head_channels=settings.head_channels,
    )


def build(settings: Settings) -> MFdiff:
    """The untrained model."""
    return MFdiff(settings)
