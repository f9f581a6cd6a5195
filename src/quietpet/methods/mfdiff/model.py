"""MFdiff: a diffusion model conditioned on the low-dose image and on features fused from PET and T1."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import partial

import torch
from torch import nn

from quietpet.data.pairs import Batch
from quietpet.methods.base import Restorer
from quietpet.methods.blocks.diffusion import Diffusion
from quietpet.methods.blocks.fusion import FeatureFusion
from quietpet.methods.blocks.monai_networks import DiffusionModelUNet
from quietpet.methods.mfdiff.settings import DenoiserSettings, Settings
from quietpet.methods.tuning import activity_weighted_rms


class MFdiff(Restorer):
    """The denoiser sees concat(x_t, x_P, F) at every step (section 3.2.2).

    The diffused x_0 is ``target_gain`` times the standard-dose image, or times its difference to the
    low-dose image when the residual is diffused.
    """

    target_gain: torch.Tensor

    def __init__(self, settings: Settings) -> None:
        super().__init__()
        self._settings = settings
        self._diffusion = Diffusion.of(settings)
        self.fusion = FeatureFusion(settings.fusion)
        self.denoiser = _denoiser(settings.denoiser, in_channels=2 + settings.fusion.channels)
        self.register_buffer("target_gain", torch.ones(()))

    def groups(self) -> Mapping[str, list[nn.Parameter]]:
        return {"network": [*self.fusion.parameters(), *self.denoiser.parameters()]}

    def tune(self, validation: Sequence[Batch]) -> None:
        """Scale the diffused image to the wanted activity-weighted root mean square."""
        rms = activity_weighted_rms(self._target, validation)
        self.target_gain.fill_(self._settings.target_rms / rms)

    def loss(self, batch: Batch, group: str, generator: torch.Generator) -> torch.Tensor:
        """|| epsilon - epsilon_theta(x_t, t, x_P, F) ||^2 (Eq. 9), or that of x_0 or v; pixel mean."""
        predict = partial(self._predict, condition=self._condition(batch))
        return self._diffusion.loss(predict, self.target_gain * self._target(batch), generator)

    def restore(self, batch: Batch, generators: Sequence[torch.Generator]) -> torch.Tensor:
        """One sample per slice, (slice, 1, y, x)."""
        return next(self.samples(batch, [generators]))

    def samples(
        self, batch: Batch, generators: Iterable[Sequence[torch.Generator]]
    ) -> Iterator[torch.Tensor]:
        """The fusion of a slice depends on neither time nor noise: it is computed once for all."""
        predict = partial(self._predict, condition=self._condition(batch))
        for each in generators:
            clean = self._diffusion.sample(
                predict, shape=batch.low.shape, generators=each, device=batch.low.device
            )
            restored = clean / self.target_gain
            yield batch.low + restored if self._settings.diffused == "residual" else restored

    def _target(self, batch: Batch) -> torch.Tensor:
        return batch.standard - batch.low if self._settings.diffused == "residual" else batch.standard

    def _condition(self, batch: Batch) -> torch.Tensor:
        """concat(x_P, F), which does not depend on t."""
        return torch.cat([batch.low, self.fusion(batch.low, batch.t1)], dim=1)

    def _predict(
        self, noisy: torch.Tensor, times: torch.Tensor, *, condition: torch.Tensor
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
        use_flash_attention=True,  # torch's fused attention: the same numbers, no matrix in memory
    )


def build(settings: Settings) -> MFdiff:
    """The untrained model."""
    return MFdiff(settings)
