"""Regression U-Net on the low-dose image, with or without T1."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from monai.networks.nets.basic_unet import BasicUNet
from torch import nn

from quietpet.data.pairs import Batch
from quietpet.methods.base import Restorer
from quietpet.methods.unet.settings import Settings

_NORMALISATIONS = {"none": None, "batch": "batch", "group": ("group", {"num_groups": 4})}
_LOSSES = {"mse": nn.functional.mse_loss, "l1": nn.functional.l1_loss}


class RegressionUNet(Restorer):
    """Ronneberger-type U-Net; sides of the images must be multiples of 16."""

    def __init__(self, settings: Settings) -> None:
        super().__init__()
        self._inputs = settings.inputs
        self._residual = settings.residual
        self._criterion = _LOSSES[settings.loss]
        self.network = BasicUNet(
            spatial_dims=2,
            in_channels=len(settings.inputs),
            out_channels=1,
            features=settings.features,
            norm=_NORMALISATIONS[settings.normalisation],
        )
        if settings.residual:
            # Training starts from the low-dose image itself.
            nn.init.zeros_(self.network.final_conv.weight)
            nn.init.zeros_(self.network.final_conv.bias)

    def groups(self) -> Mapping[str, list[nn.Parameter]]:
        return {"network": list(self.network.parameters())}

    def loss(self, batch: Batch, group: str, generator: torch.Generator) -> torch.Tensor:
        return self._criterion(self._restored(batch), batch.standard)

    def restore(self, batch: Batch, generators: Sequence[torch.Generator]) -> torch.Tensor:
        return self._restored(batch)

    def _restored(self, batch: Batch) -> torch.Tensor:
        images = torch.cat([getattr(batch, name) for name in self._inputs], dim=1)
        output = self.network(images)
        return batch.low + output if self._residual else output


def build(settings: Settings) -> RegressionUNet:
    """The untrained U-Net."""
    return RegressionUNet(settings)
