"""The inverted residual block of MobileNetV2 (Sandler et al. 2018)."""

from __future__ import annotations

import torch
from torch import nn


class InvertedResidual(nn.Module):
    """Widen (1x1), filter each channel (3x3), narrow (1x1) without a final activation.

    Without batch normalisation, which would make a slice depend on the others of its batch; therefore
    with leaky instead of clipped (ReLU6) activations, which without normalisation leave whole layers
    without a gradient. Without the skip connection, because the block computes a scale or a shift, not a
    refinement of its input.
    """

    def __init__(self, *, channels: int, expansion: float) -> None:
        super().__init__()
        wide = round(channels * expansion)
        self.layers = nn.Sequential(
            nn.Conv2d(channels, wide, 1),
            nn.LeakyReLU(0.1),
            nn.Conv2d(wide, wide, 3, padding=1, padding_mode="reflect", groups=wide),
            nn.LeakyReLU(0.1),
            nn.Conv2d(wide, channels, 1),
        )

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """Features (slice, channel, y, x) in and out."""
        return self.layers(features)
