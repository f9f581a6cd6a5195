"""Invertible affine coupling layers (Dinh et al. 2016) on feature maps."""

from __future__ import annotations

import torch
from torch import nn

from quietpet.methods.blocks.inverted_residual import InvertedResidual


class AffineCoupling(nn.Module):
    """One affine coupling layer (MFdiff, Eq. 4): one half of the channels scales and shifts the other.

    D_f = F_f * exp(s(F_l)) + t(F_l),  D_l = F_l;  with ``swapped`` the halves exchange roles. The
    log-scale s is that of an inverted residual block, bent by tanh to stay within +-``log_scale_bound``:
    a bare exponential overflows in half precision and makes the inverse inaccurate.
    """

    def __init__(
        self, *, channels: int, expansion: float, swapped: bool, log_scale_bound: float
    ) -> None:
        super().__init__()
        half = channels // 2
        self._swapped = swapped
        self._bound = log_scale_bound
        self.log_scale = InvertedResidual(channels=half, expansion=expansion)
        self.shift = InvertedResidual(channels=half, expansion=expansion)

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """Features (slice, channel, y, x) in and out."""
        changed, kept = self._split(features)
        return self._join(changed * torch.exp(self._bounded(kept)) + self.shift(kept), kept)

    def inverse(self, features: torch.Tensor) -> torch.Tensor:
        """The input that ``forward`` maps to ``features``."""
        changed, kept = self._split(features)
        return self._join((changed - self.shift(kept)) * torch.exp(-self._bounded(kept)), kept)

    def _bounded(self, kept: torch.Tensor) -> torch.Tensor:
        return self._bound * torch.tanh(self.log_scale(kept) / self._bound)

    def _split(self, features: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        first, last = features.chunk(2, dim=1)
        return (last, first) if self._swapped else (first, last)

    def _join(self, changed: torch.Tensor, kept: torch.Tensor) -> torch.Tensor:
        return torch.cat((kept, changed) if self._swapped else (changed, kept), dim=1)


class CouplingStack(nn.Module):
    """Affine coupling layers in a row, whose halves alternate in being changed.

    The paper writes out the first layer only; without the exchange half of the channels would leave the
    stack as they entered it.
    """

    def __init__(self, *, channels: int, layers: int, expansion: float, log_scale_bound: float) -> None:
        super().__init__()
        self.layers = nn.ModuleList(
            AffineCoupling(
                channels=channels,
                expansion=expansion,
                swapped=index % 2 == 1,
                log_scale_bound=log_scale_bound,
            )
            for index in range(layers)
        )

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """Features (slice, channel, y, x) in and out."""
        for layer in self.layers:
            features = layer(features)
        return features

    def inverse(self, features: torch.Tensor) -> torch.Tensor:
        """The input that ``forward`` maps to ``features``."""
        couplings = [layer for layer in self.layers if isinstance(layer, AffineCoupling)]
        for layer in reversed(couplings):
            features = layer.inverse(features)
        return features
