"""Multi-head attention between the pixels of feature maps."""

from __future__ import annotations

import torch
from torch import nn


class SpatialAttention(nn.Module):
    """Scaled dot-product attention (Vaswani et al. 2017) with every pixel a token.

    Without positional encoding, so that images of any size can be restored; the convolutions around it
    know where a pixel lies. Its products grow with the square of the number of pixels.
    """

    def __init__(self, *, channels: int, heads: int, bias: bool = False) -> None:
        super().__init__()
        self._heads = heads
        self.qkv = nn.Conv2d(channels, 3 * channels, 1, bias=bias)
        self.project_out = nn.Conv2d(channels, channels, 1, bias=bias)

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """Features (slice, channel, y, x) in and out."""
        n_slices, _, n_y, n_x = features.shape
        tokens = self.qkv(features).reshape(n_slices, 3, self._heads, -1, n_y * n_x).mT
        query, key, value = tokens.unbind(dim=1)  # each (slice, head, pixel, channel of the head)
        attended = nn.functional.scaled_dot_product_attention(query, key, value)
        return self.project_out(attended.mT.reshape(features.shape))
