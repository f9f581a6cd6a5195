"""M-UNet (Chen et al. 2019): encoder and decoder joined by concatenation, residual to the low dose."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise

import torch
from torch import nn

from quietpet.data.pairs import Batch
from quietpet.methods.base import Restorer
from quietpet.methods.blocks.inputs import seen
from quietpet.methods.munet.settings import Settings


class MUNet(Restorer):
    """The difference to the low-dose image, from that image and T1; trained by L1."""

    def __init__(self, settings: Settings) -> None:
        super().__init__()
        self._inputs = settings.inputs
        self.network = EncoderDecoder(
            settings.channels, convolutions=settings.convolutions, inputs=len(settings.inputs)
        )

    def groups(self) -> Mapping[str, list[nn.Parameter]]:
        return {"network": list(self.parameters())}

    def loss(self, batch: Batch, group: str, generator: torch.Generator) -> torch.Tensor:
        return nn.functional.l1_loss(self._restored(batch), batch.standard)

    def restore(self, batch: Batch, generators: Sequence[torch.Generator]) -> torch.Tensor:
        return self._restored(batch)

    def _restored(self, batch: Batch) -> torch.Tensor:
        return batch.low + self.network(torch.cat(seen(batch, self._inputs), dim=1))


class EncoderDecoder(nn.Module):
    """``inputs`` channels in and one out, both (slice, channel, y, x); begins as zero.

    Sides must be multiples of ``2 ** len(channels)``.
    """

    def __init__(self, channels: Sequence[int], *, convolutions: int, inputs: int = 2) -> None:
        super().__init__()
        self.encoder = nn.ModuleList(
            _convolutions(given, width, convolutions) for given, width in pairwise((inputs, *channels))
        )
        self.centre = _convolutions(channels[-1], channels[-1], 1)
        self.decoder = nn.ModuleList(
            _convolutions(below + width, width, convolutions)
            for below, width in pairwise((channels[-1], *reversed(channels)))
        )
        self.output = nn.Conv2d(channels[0], 1, 1)
        # Training starts from the low-dose image itself.
        nn.init.zeros_(self.output.weight)
        nn.init.zeros_(self.output.bias)  # type: ignore[arg-type]  # it has one

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        features, skipped = images, []
        for level in self.encoder:
            features = level(features)
            skipped.append(features)
            features = nn.functional.max_pool2d(features, 2)
        features = features + self.centre(features)
        for level in self.decoder:
            features = nn.functional.interpolate(features, scale_factor=2, mode="bilinear")
            features = level(torch.cat([features, skipped.pop()], dim=1))
        return self.output(features)


def _convolutions(given: int, width: int, count: int) -> nn.Sequential:
    """``count`` times: 3 x 3 convolution, batch normalisation (which has the bias), ReLU."""
    layers: list[nn.Module] = []
    for each in (given, *[width] * (count - 1)):
        convolution = nn.Conv2d(each, width, 3, padding=1, bias=False)
        layers += [convolution, nn.BatchNorm2d(width), nn.ReLU()]
    return nn.Sequential(*layers)


def build(settings: Settings) -> MUNet:
    """The untrained M-UNet, which restores the low-dose image itself."""
    return MUNet(settings)
