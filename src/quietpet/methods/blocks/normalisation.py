"""Layer normalisation of feature maps."""

from __future__ import annotations

import torch
from torch import nn


class ChannelLayerNorm(nn.Module):
    """Normalises the channels of each pixel on their own, as Restormer does (Zamir et al. 2022).

    Unlike instance normalisation it keeps the differences between pixels, hence the contrast of the
    activity, and does not depend on the size of the image.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(channels)

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """Features (slice, channel, y, x) in and out."""
        return self.norm(features.movedim(1, -1)).movedim(-1, 1)
