"""The network of CSRD: DDPM++ (Song et al. 2021) as built by Karras et al. (2022), in 2-D."""

from __future__ import annotations

import math
from typing import Literal, TypeVar

import torch
from torch import nn

from quietpet.methods.csrd.settings import CHANNELS_PER_GROUP, NORM_GROUPS

Resampling = Literal["none", "halve", "double"]
Layer = TypeVar("Layer", nn.Conv2d, nn.Linear)

_NEARLY_ZERO = 1e-5
"""Factor on the initial weights of last layers: blocks begin as their skip connection."""


class ScoreNetwork(nn.Module):
    """U-Net of residual blocks; attention at the lowest resolution only, as the published one."""

    def __init__(
        self, *, inputs: int, channels: int, multipliers: tuple[int, ...], blocks: int, dropout: float
    ) -> None:
        super().__init__()
        embedded = 4 * channels
        self._frequencies = channels // 2
        self.embedding = nn.Sequential(
            initialised(nn.Linear(channels, embedded)),
            nn.SiLU(),
            initialised(nn.Linear(embedded, embedded)),
            nn.SiLU(),
        )

        def block(before: int, after: int, resample: Resampling = "none", attend: bool = False) -> Block:
            return Block(before, after, embedded, resample=resample, attend=attend, dropout=dropout)

        self.into = initialised(nn.Conv2d(inputs, channels, 3, padding=1))
        self.encoder, self.decoder = nn.ModuleList(), nn.ModuleList()
        width, skipped = channels, [channels]
        for level, multiplier in enumerate(multipliers):
            if level:
                self.encoder.append(block(width, width, "halve"))
                skipped.append(width)
            for _ in range(blocks):
                self.encoder.append(block(width, channels * multiplier))
                width = channels * multiplier
                skipped.append(width)
        self.middle = nn.ModuleList([block(width, width, attend=True), block(width, width)])
        for level, multiplier in reversed(list(enumerate(multipliers))):
            if level < len(multipliers) - 1:
                self.decoder.append(block(width, width, "double"))
            for _ in range(blocks + 1):
                self.decoder.append(block(width + skipped.pop(), channels * multiplier))
                width = channels * multiplier
        self.out = nn.Sequential(
            normalisation(width),
            nn.SiLU(),
            initialised(nn.Conv2d(width, 1, 3, padding=1), gain=_NEARLY_ZERO),
        )

    def forward(self, images: torch.Tensor, noise: torch.Tensor) -> torch.Tensor:
        """An image (slice, 1, y, x) of images (slice, input, y, x) and noise levels c_noise (slice,)."""
        embedded = self.embedding(_waves(noise, self._frequencies))
        features = self.into(images)
        skipped = [features]
        for block in self.encoder:
            features = block(features, embedded)
            skipped.append(features)
        for block in self.middle:
            features = block(features, embedded)
        for block in self.decoder:
            if block.resample == "none":
                features = torch.cat([features, skipped.pop()], dim=1)
            features = block(features, embedded)
        return self.out(features)


class Block(nn.Module):
    """Residual block, from ``before`` to ``after`` channels, that also sees the noise level."""

    def __init__(
        self,
        before: int,
        after: int,
        embedded: int,
        *,
        resample: Resampling,
        attend: bool,
        dropout: float,
    ) -> None:
        super().__init__()
        self.resample = resample
        self.first = nn.Sequential(normalisation(before), nn.SiLU())
        self.first_convolution = initialised(nn.Conv2d(before, after, 3, padding=1))
        self.level = initialised(nn.Linear(embedded, after))
        self.second = nn.Sequential(
            normalisation(after),
            nn.SiLU(),
            nn.Dropout(dropout),
            initialised(nn.Conv2d(after, after, 3, padding=1), gain=_NEARLY_ZERO),
        )
        self.skip = (
            nn.Identity()
            if before == after and resample == "none"
            else initialised(nn.Conv2d(before, after, 1))
        )
        self.attention = PixelAttention(after) if attend else nn.Identity()

    def forward(self, features: torch.Tensor, embedded: torch.Tensor) -> torch.Tensor:
        """Features (slice, channel, y, x); the embedded noise level is (slice, embedded)."""
        new = self.first_convolution(self._resampled(self.first(features)))
        new = self.second(new + self.level(embedded)[:, :, None, None])
        # Both terms have about unit variance, and so has their sum.
        return self.attention((new + self.skip(self._resampled(features))) * math.sqrt(0.5))

    def _resampled(self, features: torch.Tensor) -> torch.Tensor:
        match self.resample:
            case "halve":
                return nn.functional.avg_pool2d(features, 2)
            case "double":
                return nn.functional.interpolate(features, scale_factor=2)
        return features


class PixelAttention(nn.Module):
    """Self-attention of one head between all pixels, added to its input."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.norm = normalisation(channels)
        self.qkv = initialised(nn.Conv2d(channels, 3 * channels, 1), gain=math.sqrt(0.2))
        self.project = initialised(nn.Conv2d(channels, channels, 1), gain=_NEARLY_ZERO)

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """Features (slice, channel, y, x) in and out."""
        tokens = self.qkv(self.norm(features)).flatten(2).mT  # (slice, pixel, 3 channels)
        query, key, value = (each[:, None] for each in tokens.chunk(3, dim=-1))  # one head
        attended = nn.functional.scaled_dot_product_attention(query, key, value)[:, 0]
        return (self.project(attended.mT.reshape(features.shape)) + features) * math.sqrt(0.5)


def normalisation(channels: int) -> nn.GroupNorm:
    """Group normalisation in as many groups as the published network."""
    return nn.GroupNorm(min(NORM_GROUPS, channels // CHANNELS_PER_GROUP), channels, eps=1e-6)


def initialised(layer: Layer, *, gain: float = 1.0) -> Layer:
    """``layer`` with uniform weights of Glorot & Bengio (2010) times ``gain``, and biases of zero."""
    nn.init.xavier_uniform_(layer.weight, gain)
    if layer.bias is not None:
        nn.init.zeros_(layer.bias)
    return layer


def _waves(noise: torch.Tensor, frequencies: int) -> torch.Tensor:
    """Sines and cosines (slice, 2 frequencies) of ``noise`` (slice,), from frequency 1 to 1e-4."""
    steps = torch.linspace(0, 1, frequencies, device=noise.device)
    angles = noise[:, None] * 1e4**-steps
    return torch.cat([angles.sin(), angles.cos()], dim=1)
