"""NAFNet, the network without activation functions of "Simple baselines for image restoration"."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import nn

from quietpet.data.pairs import Batch
from quietpet.methods.base import Restorer
from quietpet.methods.blocks.inputs import seen
from quietpet.methods.blocks.normalisation import ChannelLayerNorm
from quietpet.methods.nafnet.settings import Settings

_LOSSES = {"mse": nn.functional.mse_loss, "l1": nn.functional.l1_loss}


class NAFNet(Restorer):
    """The difference to the low-dose image, from that image and T1."""

    def __init__(self, settings: Settings) -> None:
        super().__init__()
        self._inputs = settings.inputs
        self._criterion = _LOSSES[settings.loss]
        self.network = UShape(
            width=settings.width,
            encoder_blocks=settings.encoder_blocks,
            middle_blocks=settings.middle_blocks,
            decoder_blocks=settings.decoder_blocks,
            inputs=len(settings.inputs),
        )

    def groups(self) -> Mapping[str, list[nn.Parameter]]:
        return {"network": list(self.parameters())}

    def loss(self, batch: Batch, group: str, generator: torch.Generator) -> torch.Tensor:
        return self._criterion(self._restored(batch), batch.standard)

    def restore(self, batch: Batch, generators: Sequence[torch.Generator]) -> torch.Tensor:
        return self._restored(batch)

    def _restored(self, batch: Batch) -> torch.Tensor:
        return batch.low + self.network(torch.cat(seen(batch, self._inputs), dim=1))


class UShape(nn.Module):
    """NAFBlocks in a U: ``inputs`` channels in and one out, (slice, channel, y, x); begins as zero.

    Sides must be multiples of ``2 ** len(encoder_blocks)``.
    """

    def __init__(
        self,
        *,
        width: int,
        encoder_blocks: Sequence[int],
        middle_blocks: int,
        decoder_blocks: Sequence[int],
        inputs: int,
    ) -> None:
        super().__init__()
        widths = [width * 2**level for level in range(len(encoder_blocks) + 1)]
        self.first = nn.Conv2d(inputs, width, 3, padding=1)
        self.encoder = nn.ModuleList(map(_blocks, widths, encoder_blocks))
        self.down = nn.ModuleList(nn.Conv2d(each, 2 * each, 2, stride=2) for each in widths[:-1])
        self.middle = _blocks(widths[-1], middle_blocks)
        self.up = nn.ModuleList(map(_doubled, reversed(widths[1:])))
        self.decoder = nn.ModuleList(map(_blocks, reversed(widths[:-1]), decoder_blocks))
        self.last = nn.Conv2d(width, 1, 3, padding=1)
        # Training starts from the low-dose image itself.
        nn.init.zeros_(self.last.weight)
        nn.init.zeros_(self.last.bias)  # type: ignore[arg-type]  # it has one

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        features, skipped = self.first(images), []
        for blocks, down in zip(self.encoder, self.down, strict=True):
            features = blocks(features)
            skipped.append(features)
            features = down(features)
        features = self.middle(features)
        for up, blocks in zip(self.up, self.decoder, strict=True):
            features = blocks(up(features) + skipped.pop())
        return self.last(features)


class NAFBlock(nn.Module):
    """Two residual steps on (slice, channel, y, x): depth-wise convolution with attention, then mixing.

    Figure 2 (c) of Chen et al. (2022): the gate multiplies one half of the channels by the other in
    place of an activation, and the attention multiplies channels by a linear map of their means. Both
    steps begin as the identity.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.spatial = nn.Sequential(
            ChannelLayerNorm(width),
            nn.Conv2d(width, 2 * width, 1),
            nn.Conv2d(2 * width, 2 * width, 3, padding=1, groups=2 * width),
            SimpleGate(),
            ChannelAttention(width),
            nn.Conv2d(width, width, 1),
        )
        self.mixing = nn.Sequential(
            ChannelLayerNorm(width),
            nn.Conv2d(width, 2 * width, 1),
            SimpleGate(),
            nn.Conv2d(width, width, 1),
        )
        self.spatial_share = nn.Parameter(torch.zeros(width, 1, 1))
        self.mixing_share = nn.Parameter(torch.zeros(width, 1, 1))

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        features = features + self.spatial_share * self.spatial(features)
        return features + self.mixing_share * self.mixing(features)


class SimpleGate(nn.Module):
    """The first half of the channels times the second."""

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        first, second = features.chunk(2, dim=1)
        return first * second


class ChannelAttention(nn.Module):
    """Each channel times a linear map of the means of all: attention simplified."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.weights = nn.Conv2d(width, width, 1)

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        return features * self.weights(features.mean(dim=(2, 3), keepdim=True))


def _blocks(width: int, count: int) -> nn.Sequential:
    return nn.Sequential(*(NAFBlock(width) for _ in range(count)))


def _doubled(width: int) -> nn.Sequential:
    """Twice the resolution, half the channels: four pixels from four channels."""
    return nn.Sequential(nn.Conv2d(width, 2 * width, 1, bias=False), nn.PixelShuffle(2))


def build(settings: Settings) -> NAFNet:
    """The untrained NAFNet, which restores the low-dose image itself."""
    return NAFNet(settings)
