"""A discriminator that judges patches of an image, each on its own (PatchGAN)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise

import torch
from torch import nn


class PatchDiscriminator(nn.Module):
    """Convolutions and LeakyReLU(0.2), all but the first normalised (Isola et al., CVPR 2017).

    ``widths`` and ``strides`` are those of these layers in turn; ``last`` turns ``widths[-1]`` channels
    into a map of judgements, one channel without activation.
    """

    def __init__(
        self,
        in_channels: int,
        widths: Sequence[int],
        *,
        strides: Sequence[int],
        kernel_size: int,
        padding: int,
        normalisation: Callable[[int], nn.Module],
        last: nn.Module,
    ) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for (before, after), stride in zip(pairwise([in_channels, *widths]), strides, strict=True):
            layers.append(nn.Conv2d(before, after, kernel_size, stride, padding))
            if len(layers) > 1:
                layers.append(normalisation(after))
            layers.append(nn.LeakyReLU(0.2))
        self.layers = nn.Sequential(*layers, last)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Judgements (slice, 1, row, column) of images (slice, channel, y, x)."""
        judgements: torch.Tensor = self.layers(images)
        return judgements
