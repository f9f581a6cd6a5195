"""The Restormer block (Zamir et al. 2022), with normalisation over channels."""

from __future__ import annotations

from typing import Literal

import torch
from torch import nn

from quietpet.methods.blocks.attention import SpatialAttention
from quietpet.methods.blocks.monai_networks import CABlock, FeedForward
from quietpet.methods.blocks.normalisation import ChannelLayerNorm


class RestormerBlock(nn.Module):
    """G' = MHA(LN(F)) + F,  G = MLP(LN(G')) + G'  (MFdiff, Eq. 3).

    Restormer's MHA attends between channels (each head a covariance of channel maps over the whole
    image), whose cost is linear in the number of pixels; between pixels it needs 192**4 products per
    head. MLP is the gated convolutional feed-forward layer of Restormer.
    """

    def __init__(
        self,
        *,
        channels: int,
        heads: int,
        expansion: float,
        attention: Literal["channel", "spatial"] = "channel",
    ) -> None:
        super().__init__()
        self.norm_attention = ChannelLayerNorm(channels)
        self.attention = (
            CABlock(spatial_dims=2, dim=channels, num_heads=heads, bias=False)
            if attention == "channel"
            else SpatialAttention(channels=channels, heads=heads)
        )
        self.norm_mlp = ChannelLayerNorm(channels)
        self.mlp = FeedForward(spatial_dims=2, dim=channels, ffn_expansion_factor=expansion, bias=False)

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """Features (slice, channel, y, x) in and out."""
        attended = self.attention(self.norm_attention(features)) + features
        return self.mlp(self.norm_mlp(attended)) + attended
