"""Regression U-Net on the low-dose image, alone, with T1, or with features fused from both."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import nn

from quietpet.data.pairs import Batch
from quietpet.methods.base import Restorer
from quietpet.methods.blocks.fusion import FeatureFusion
from quietpet.methods.blocks.inputs import seen
from quietpet.methods.blocks.monai_networks import BasicUNet
from quietpet.methods.unet.settings import Settings

_NORMALISATIONS = {"none": None, "batch": "batch", "group": ("group", {"num_groups": 4})}
_LOSSES = {"mse": nn.functional.mse_loss, "l1": nn.functional.l1_loss}

_LEAST_MAXIMUM = 0.1
"""Maxima below this (in units of the scale of a slice, its typical uptake) are raised to it: patches
without tissue hold only noise, which must not be blown up."""


class RegressionUNet(Restorer):
    """Ronneberger-type U-Net; sides of the images must be multiples of 16."""

    def __init__(self, settings: Settings) -> None:
        super().__init__()
        self._inputs = settings.inputs
        self._residual = settings.residual
        self._criterion = _LOSSES[settings.loss]
        self._own_maximum_weight = settings.own_maximum_weight
        self.fusion = FeatureFusion(settings.fusion) if settings.fusion else None
        self.network = BasicUNet(
            spatial_dims=2,
            in_channels=len(settings.inputs) + (settings.fusion.channels if settings.fusion else 0),
            out_channels=1,
            features=settings.features,
            norm=_NORMALISATIONS[settings.normalisation],  # type: ignore[arg-type]  # None as well
        )
        if settings.residual:
            # Training starts from the low-dose image itself.
            nn.init.zeros_(self.network.final_conv.weight)
            nn.init.zeros_(self.network.final_conv.bias)

    def groups(self) -> Mapping[str, list[nn.Parameter]]:
        return {"network": list(self.parameters())}

    def loss(self, batch: Batch, group: str, generator: torch.Generator) -> torch.Tensor:
        restored, standard = self._restored(batch), batch.standard
        loss = self._criterion(restored, standard)
        if self._own_maximum_weight:
            by_own_maximum = self._criterion(_by_own_maximum(restored), _by_own_maximum(standard))
            loss = loss + self._own_maximum_weight * by_own_maximum
        return loss

    def restore(self, batch: Batch, generators: Sequence[torch.Generator]) -> torch.Tensor:
        return self._restored(batch)

    def _restored(self, batch: Batch) -> torch.Tensor:
        images = [*seen(batch, self._inputs)]
        if self.fusion is not None:
            images.append(self.fusion(batch.low, batch.t1))
        output = self.network(torch.cat(images, dim=1))
        return batch.low + output if self._residual else output


def _by_own_maximum(images: torch.Tensor) -> torch.Tensor:
    """Each image (sample, 1, y, x) divided by its own maximum."""
    return images / images.amax(dim=(-2, -1), keepdim=True).clamp_min(_LEAST_MAXIMUM)


def build(settings: Settings) -> RegressionUNet:
    """The untrained U-Net."""
    return RegressionUNet(settings)
