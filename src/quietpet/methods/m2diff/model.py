"""M2Diff: a diffusion model that learns one task with PET and one with T1 (Pain et al. 2026)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial

import torch
from torch import nn

from quietpet.data.pairs import Batch
from quietpet.methods.base import Restorer
from quietpet.methods.blocks.diffusion import Diffusion, sent
from quietpet.methods.m2diff.network import TwoBranchUNet
from quietpet.methods.m2diff.settings import Settings
from quietpet.methods.tuning import activity_weighted_rms


class M2Diff(Restorer):
    """Two heads predict the same x_0; that of the PET branch alone is sampled from.

    x_0 is ``target_gain`` times the standard-dose image, or times its difference to the low-dose image
    when the residual is diffused.
    """

    target_gain: torch.Tensor

    def __init__(self, settings: Settings) -> None:
        super().__init__()
        self._settings = settings
        self._diffusion = Diffusion.of(settings)
        self.network = TwoBranchUNet(settings)
        self.register_buffer("target_gain", torch.ones(()))

    def groups(self) -> Mapping[str, list[nn.Parameter]]:
        return {"network": list(self.network.parameters())}

    def tune(self, validation: Sequence[Batch]) -> None:
        """Scale the diffused image to the wanted activity-weighted root mean square."""
        rms = activity_weighted_rms(self._target, validation)
        self.target_gain.fill_(self._settings.target_rms / rms)

    def loss(self, batch: Batch, group: str, generator: torch.Generator) -> torch.Tensor:
        """Squared errors of both heads and squared difference between them, a mean over pixels.

        Of a slice without T1 the PET head alone counts. All slices run through both branches, so that
        every process of a training has a gradient of every parameter.
        """
        noised = self._diffusion.noised(self.target_gain * self._target(batch), generator)
        replaced = torch.rand(len(batch.low), generator=generator) < self._settings.skip_replacement
        has_t1 = batch.has_t1
        pet, mri = self.network(
            noised.images,
            noised.times,
            low=batch.low,
            t1=_finite(batch.t1, has_t1),
            guided=has_t1 & ~sent(replaced, has_t1.device),
            both=True,
        )
        of_pet, of_mri, of_difference = self._settings.loss_weights
        difference = of_mri * (mri - noised.target).square() + of_difference * (pet - mri).square()
        known = has_t1.reshape(-1, 1, 1, 1)
        return (of_pet * (pet - noised.target).square() + known * difference).mean()

    def restore(self, batch: Batch, generators: Sequence[torch.Generator]) -> torch.Tensor:
        """One sample per slice, (slice, 1, y, x); slices without T1 are restored without.

        Raises ValueError for such a slice if the network has not learned to do without.
        """
        t1 = batch.known_t1() if self._settings.t1_use == "needed" else batch.t1
        guided = batch.has_t1 & (self._settings.t1 == "own")
        predict = partial(
            self._predict,
            low=batch.low,
            t1=_finite(t1, guided) if guided.any() else None,
            guided=guided,
        )
        clean = self._diffusion.sample(
            predict, shape=batch.low.shape, generators=generators, device=batch.low.device
        )
        restored = clean / self.target_gain
        return batch.low + restored if self._settings.diffused == "residual" else restored

    def _target(self, batch: Batch) -> torch.Tensor:
        return batch.standard - batch.low if self._settings.diffused == "residual" else batch.standard

    def _predict(
        self,
        noisy: torch.Tensor,
        times: torch.Tensor,
        *,
        low: torch.Tensor,
        t1: torch.Tensor | None,
        guided: torch.Tensor,
    ) -> torch.Tensor:
        """The PET head's x_0, which alone makes the next x_t of both branches."""
        (clean,) = self.network(noisy, times, low=low, t1=t1, guided=guided, both=False)
        return clean


def _finite(t1: torch.Tensor, known: torch.Tensor) -> torch.Tensor:
    """``t1`` (slice, 1, y, x) with zeros, which nothing then depends on, in slices not ``known``."""
    return torch.where(known.reshape(-1, 1, 1, 1), t1, 0.0)


def build(settings: Settings) -> M2Diff:
    """The untrained model."""
    return M2Diff(settings)
