"""CNCL: content and noise of the low-dose image predicted side by side, and a discriminator of both."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import nn

from quietpet.data.pairs import Batch
from quietpet.methods.blocks.adversarial import AdversarialRestorer, initialise
from quietpet.methods.blocks.inputs import seen
from quietpet.methods.blocks.patch_discriminator import PatchDiscriminator
from quietpet.methods.cncl.settings import Settings


class CNCL(AdversarialRestorer):
    """Content is the standard dose, noise its difference to the low dose.

    The discriminator is shown content, noise, low dose and T1.
    """

    def __init__(self, settings: Settings) -> None:
        super().__init__()
        self._l1_weight = settings.l1_weight
        self._inputs = settings.inputs
        self.generator = ContentAndNoise(settings.widths, inputs=len(settings.inputs))
        widths = settings.discriminator_widths
        self.discriminator = PatchDiscriminator(
            len(settings.inputs) + 2,  # beside them content and noise
            widths,
            strides=(2,) * len(widths),
            kernel_size=4,
            padding=1,
            normalisation=nn.InstanceNorm2d,
            last=nn.Sequential(
                nn.ZeroPad2d((1, 0, 1, 0)), nn.Conv2d(widths[-1], 1, 4, padding=1, bias=False)
            ),
        )
        initialise(self)
        self.generator.start_with_the_mean()

    def restore(self, batch: Batch, generators: Sequence[torch.Generator]) -> torch.Tensor:
        """Content (slice, 1, y, x)."""
        return self._generated(batch)[:, :1]

    def _generated(self, batch: Batch) -> torch.Tensor:
        both: torch.Tensor = self.generator(*seen(batch, self._inputs))
        return both

    def _wanted(self, batch: Batch) -> torch.Tensor:
        return torch.cat([batch.standard, batch.low - batch.standard], dim=1)

    def _shown(self, batch: Batch, images: torch.Tensor) -> torch.Tensor:
        return torch.cat([images, *seen(batch, self._inputs)], dim=1)

    def _distance(self, batch: Batch, generated: torch.Tensor) -> torch.Tensor:
        return self._l1_weight * nn.functional.l1_loss(generated, self._wanted(batch))


class ContentAndNoise(nn.Module):
    """Two U-Nets; what is left of the low dose without the noise is a second estimate of the content."""

    def __init__(self, widths: Sequence[int], *, inputs: int) -> None:
        super().__init__()
        self.content = LinearHeadUNet(inputs, widths)
        self.noise = LinearHeadUNet(inputs, widths)
        self.fusion = nn.Conv2d(2, 1, kernel_size=1)

    @torch.no_grad()
    def start_with_the_mean(self) -> None:
        """Weigh both contents alike before training."""
        self.fusion.weight.fill_(0.5)
        self.fusion.bias.zero_()  # type: ignore[union-attr]  # it has one

    def forward(self, low: torch.Tensor, *others: torch.Tensor) -> torch.Tensor:
        """Content and noise (slice, 2, y, x) of the low dose and T1, if any, (slice, 1, y, x)."""
        images = torch.cat([low, *others], dim=1)
        noise = self.noise(images)
        content = self.fusion(torch.cat([self.content(images), low - noise], dim=1))
        return torch.cat([content, noise], dim=1)


class LinearHeadUNet(nn.Module):
    """U-Net with batch norms, bilinear upsampling and a head of two convolutions without activation."""

    def __init__(self, in_channels: int, widths: Sequence[int]) -> None:
        super().__init__()
        *levels, coarsest = widths
        self.down = nn.ModuleList(
            _convolutions(before, after, after) for before, after in pairwise([in_channels, *levels])
        )
        self.bottom = _convolutions(levels[-1], coarsest, levels[-1])
        self.up = nn.ModuleList(
            _convolutions(2 * width, width, finer) for finer, width in reversed(list(pairwise(levels)))
        )
        first = levels[0]
        half = max(first // 2, 1)
        self.head = nn.Sequential(
            nn.Conv2d(2 * first, half, 3, padding=1), nn.Conv2d(half, 1, 3, padding=1)
        )

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Images (slice, channel, y, x) to one image (slice, 1, y, x)."""
        skipped = []
        features = images
        for down in self.down:
            skipped.append(down(features))
            features = nn.functional.max_pool2d(skipped[-1], 2)
        features = self.bottom(features)
        for layers, skip in zip([*self.up, self.head], reversed(skipped), strict=True):
            features = nn.functional.interpolate(
                features, scale_factor=2, mode="bilinear", align_corners=True
            )
            features = layers(torch.cat([features, skip], dim=1))
        return features


def _convolutions(in_channels: int, middle: int, out_channels: int) -> nn.Sequential:
    return nn.Sequential(
        *(nn.Conv2d(in_channels, middle, 3, padding=1), nn.BatchNorm2d(middle), nn.ReLU()),
        *(nn.Conv2d(middle, out_channels, 3, padding=1), nn.BatchNorm2d(out_channels), nn.ReLU()),
    )


def build(settings: Settings) -> CNCL:
    """The untrained networks."""
    return CNCL(settings)
