"""The networks of Hi-Net (Zhou et al. 2020), of the sizes of the published code."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise

import torch
from torch import nn

Activation = Callable[[], nn.Module]


def leaky() -> nn.Module:
    """The activation of encoders, of fusion on the way down, and of the discriminator."""
    return nn.LeakyReLU(0.2, inplace=True)


def rectified() -> nn.Module:
    """The activation of decoders."""
    return nn.ReLU(inplace=True)


def convolution(inputs: int, outputs: int, activation: Activation) -> nn.Sequential:
    """3 x 3 convolution, batch normalisation, activation."""
    return nn.Sequential(nn.Conv2d(inputs, outputs, 3, padding=1), nn.BatchNorm2d(outputs), activation())


def doubled(features: torch.Tensor) -> torch.Tensor:
    """Features (slice, channel, y, x) at twice the resolution; nearest neighbour."""
    return nn.functional.interpolate(features, scale_factor=2)


def output(inputs: int) -> nn.Sequential:
    """The last layer of each decoder, an image (slice, 1, y, x) within (-1, 1)."""
    return nn.Sequential(nn.Conv2d(inputs, 1, 3, padding=1), _Tanh())


class _Tanh(nn.Tanh):
    """In 32 bits: values near -1, which stands for 0, would be coarse in 16."""

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        return super().forward(features.float())


class Encoder(nn.Module):
    """Of one modality: pooled features at a half, a quarter and an eighth of the resolution."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        widths = (1, channels, 2 * channels, 4 * channels)
        self.levels = nn.ModuleList(
            nn.Sequential(
                convolution(inputs, outputs, leaky),
                convolution(outputs, outputs, leaky),
                nn.MaxPool2d(2),
            )
            for inputs, outputs in pairwise(widths)
        )

    def forward(self, image: torch.Tensor) -> list[torch.Tensor]:
        """Features, from fine to coarse, of an image (slice, 1, y, x)."""
        features = []
        for level in self.levels:
            image = level(image)
            features.append(image)
        return features


class InputDecoder(nn.Sequential):
    """From the coarsest features of one modality back to its image: the auxiliary decoder."""

    def __init__(self, channels: int) -> None:
        n = channels
        super().__init__(
            convolution(4 * n, 4 * n, rectified),
            nn.Upsample(scale_factor=2),
            convolution(4 * n, 4 * n, rectified),
            convolution(4 * n, 2 * n, rectified),
            nn.Upsample(scale_factor=2),
            convolution(2 * n, 2 * n, rectified),
            convolution(2 * n, n, rectified),
            nn.Upsample(scale_factor=2),
            convolution(n, n, rectified),
            output(n),
        )


class MixedFusion(nn.Module):
    """Mixed fusion block: sum, product and maximum of two modalities, then what was fused before.

    ``before``: channels of the earlier fused features; 0: there are none.
    """

    def __init__(self, inputs: int, outputs: int, activation: Activation, *, before: int) -> None:
        super().__init__()
        self.mix = convolution(3 * inputs, inputs, activation)
        self.join = convolution(inputs + before, outputs, activation)

    def forward(self, first: torch.Tensor, second: torch.Tensor, *before: torch.Tensor) -> torch.Tensor:
        """Fused features of two modalities (slice, channel, y, x)."""
        ways = [first + second, first * second, torch.maximum(first, second)]
        return self.join(torch.cat([self.mix(torch.cat(ways, dim=1)), *before], dim=1))


class FusionNetwork(nn.Module):
    """Fuses the features of both modalities layer by layer, down and up again, to the wanted image."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        n = channels
        self.down = nn.ModuleList(
            [
                MixedFusion(n, 2 * n, leaky, before=0),
                MixedFusion(2 * n, 4 * n, leaky, before=2 * n),
                MixedFusion(4 * n, 4 * n, leaky, before=4 * n),
            ]
        )
        self.pool = nn.MaxPool2d(2)
        self.bottom = nn.Sequential(
            convolution(4 * n, 8 * n, leaky), convolution(8 * n, 4 * n, rectified)
        )
        self.up = nn.ModuleList(
            [
                MixedFusion(4 * n, 2 * n, rectified, before=4 * n),
                MixedFusion(2 * n, n, rectified, before=2 * n),
                MixedFusion(n, n, rectified, before=n),
            ]
        )
        self.head = nn.Sequential(convolution(n, n, rectified), output(n))

    def forward(self, first: Sequence[torch.Tensor], second: Sequence[torch.Tensor]) -> torch.Tensor:
        """The image (slice, 1, y, x) of the features of two encoders, from fine to coarse."""
        fused = self.down[0](first[0], second[0])
        for block, *modalities in zip(self.down[1:], first[1:], second[1:], strict=True):
            fused = block(*modalities, self.pool(fused))
        fused = self.bottom(fused)
        for block, *modalities in zip(self.up, reversed(first), reversed(second), strict=True):
            fused = doubled(block(*modalities, fused))
        return self.head(fused)


class Generator(nn.Module):
    """Encoders of both modalities, their auxiliary decoders, and the fusion network."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.encoders = nn.ModuleList(Encoder(channels) for _ in range(2))
        self.decoders = nn.ModuleList(InputDecoder(channels) for _ in range(2))
        self.fusion = FusionNetwork(channels)

    def forward(
        self, first: torch.Tensor, second: torch.Tensor, *, inputs_too: bool = False
    ) -> torch.Tensor:
        """The wanted image (slice, 1, y, x) of two modalities of that shape.

        With ``inputs_too`` (slice, 3, y, x): it, and both inputs reconstructed.
        """
        features = [encode(image) for encode, image in zip(self.encoders, (first, second), strict=True)]
        wanted = self.fusion(*features)
        if not inputs_too:
            return wanted
        inputs = [decode(each[-1]) for decode, each in zip(self.decoders, features, strict=True)]
        return torch.cat([wanted, *inputs], dim=1)


class Discriminator(nn.Sequential):
    """Four halvings of the resolution, then one number for each region; 1: real, 0: made."""

    def __init__(self, channels: int) -> None:
        n = channels
        super().__init__(
            nn.Conv2d(1, n, 3, stride=2, padding=1),
            leaky(),
            *self._halving(n, 2 * n),
            *self._halving(2 * n, 4 * n),
            *self._halving(4 * n, 8 * n),
            # Padded, unlike the published one: it would have no output for patches below 48 pixels.
            nn.Conv2d(8 * n, 1, 3, padding=1),
        )

    @staticmethod
    def _halving(inputs: int, outputs: int) -> list[nn.Module]:
        return [
            nn.Conv2d(inputs, outputs, 3, stride=2, padding=1),
            nn.BatchNorm2d(outputs),
            leaky(),
        ]
