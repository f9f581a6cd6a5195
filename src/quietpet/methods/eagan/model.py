"""dEa-GAN: a U-Net generator and a discriminator of patches, both aware of Sobel edges."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import nn

from quietpet.data.pairs import Batch
from quietpet.errors import InputError
from quietpet.methods.blocks.adversarial import AdversarialRestorer, initialise
from quietpet.methods.blocks.inputs import seen
from quietpet.methods.blocks.patch_discriminator import PatchDiscriminator
from quietpet.methods.eagan.settings import Settings

_FIRST_DROPOUT = 4
"""Index of the first resolution with dropout."""


class EaGAN(AdversarialRestorer):
    """Low dose and T1 to standard dose; sides of the images are multiples of ``Settings.divisor``.

    The networks see all images on a scale on which -1 stands for 0 and 1 for ``peak``.
    """

    peak: torch.Tensor
    generator_steps: torch.Tensor
    """How often the generator has learned, for the rise of the weight of the edges."""

    def __init__(self, settings: Settings) -> None:
        super().__init__()
        self._settings = settings
        self.generator = SkippingGenerator(
            len(settings.inputs), settings.widths, dropout=settings.dropout
        )
        widths = settings.discriminator_widths
        self.discriminator = PatchDiscriminator(
            len(settings.inputs) + 2,  # beside them an image and its edges
            widths,
            strides=(2,) * (len(widths) - 1) + (1,),
            kernel_size=4,
            padding=2,
            normalisation=nn.BatchNorm2d,
            last=nn.Conv2d(widths[-1], 1, kernel_size=4, padding=2),
        )
        initialise(self)
        self.register_buffer("peak", torch.ones(()))
        self.register_buffer("generator_steps", torch.zeros((), dtype=torch.int64))

    def tune(self, validation: Sequence[Batch]) -> None:
        """Let the bound of tanh stand for more than any standard-dose value."""
        largest = max(float(each.standard.max()) for each in validation)
        if not largest > 0:
            raise InputError("validation: the standard dose is empty; nothing to learn.")
        self.peak.fill_(self._settings.headroom * largest)

    def restore(self, batch: Batch, generators: Sequence[torch.Generator]) -> torch.Tensor:
        """Restored images (slice, 1, y, x), between 0 and ``peak``."""
        return (self._generated(batch) + 1) / 2 * self.peak

    def _generated(self, batch: Batch) -> torch.Tensor:
        images: torch.Tensor = self.generator(self._inputs(batch))
        return images

    def _wanted(self, batch: Batch) -> torch.Tensor:
        return self._scaled(batch.standard)

    def _shown(self, batch: Batch, images: torch.Tensor) -> torch.Tensor:
        return torch.cat([self._inputs(batch), images, sobel_edges(images)], dim=1)

    def _distance(self, batch: Batch, generated: torch.Tensor) -> torch.Tensor:
        wanted = self._wanted(batch)
        error = nn.functional.l1_loss(generated, wanted)
        edge_error = nn.functional.l1_loss(sobel_edges(generated), sobel_edges(wanted))
        distance = self._settings.l1_weight * error + self._sobel_weight() * edge_error
        if self.training:
            self.generator_steps += 1
        return distance

    def _labels(self, generator: torch.Generator) -> tuple[float, float]:
        """Smoothed: up to 0.3 for generated images, 0.7 to 1.2 for wanted ones."""
        first, second = torch.rand(2, generator=generator).tolist()
        return 0.3 * first, 0.7 + 0.5 * second

    def _sobel_weight(self) -> torch.Tensor:
        """It rises linearly, from 0 at the first step."""
        if not self._settings.sobel_ramp_iterations:
            return self.peak.new_tensor(self._settings.sobel_weight)
        risen = self.generator_steps / self._settings.sobel_ramp_iterations
        return self._settings.sobel_weight * risen.clamp(max=1)

    def _inputs(self, batch: Batch) -> torch.Tensor:
        return torch.cat(seen(batch, self._settings.inputs, scaled=self._scaled), dim=1)

    def _scaled(self, images: torch.Tensor) -> torch.Tensor:
        return 2 / self.peak * images - 1


class SkippingGenerator(nn.Module):
    """The U-Net of pix2pix: a convolution of stride 2 down to each resolution, its transpose back up.

    Between them features are concatenated with those of the way down; tanh at the end. The first and the
    coarsest convolution down are not normalised. All have biases, as published.
    """

    def __init__(self, in_channels: int, widths: Sequence[int], *, dropout: float) -> None:
        super().__init__()
        coarsest = len(widths) - 1
        self.down, self.up = nn.ModuleList(), nn.ModuleList()
        for level, (before, after) in enumerate(pairwise([in_channels, *widths])):
            down: list[nn.Module] = [nn.LeakyReLU(0.2)] if level else []
            down.append(nn.Conv2d(before, after, kernel_size=4, stride=2, padding=1))
            if 0 < level < coarsest:
                down.append(nn.BatchNorm2d(after))
            self.down.append(nn.Sequential(*down))
            skipped = 1 if level == coarsest else 2
            out_channels = before if level else 1
            up: list[nn.Module] = [
                nn.ReLU(),
                nn.ConvTranspose2d(skipped * after, out_channels, kernel_size=4, stride=2, padding=1),
            ]
            if level:
                up.append(nn.BatchNorm2d(out_channels))
            if _FIRST_DROPOUT <= level < coarsest:
                up.append(nn.Dropout(dropout))
            self.up.append(nn.Sequential(*up))

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Images (slice, channel, y, x) to one image (slice, 1, y, x) in [-1, 1]."""
        skipped = []
        features = images
        for down in self.down:
            features = down(features)
            skipped.append(features)
        features = self.up[-1](features)
        for up, skip in zip(reversed(self.up[:-1]), reversed(skipped[:-1]), strict=True):
            features = up(torch.cat([features, skip], dim=1))
        return features.float().tanh()  # in 16 bits values near -1, that is 0, would be coarse


def sobel_edges(images: torch.Tensor) -> torch.Tensor:
    """2 tanh(|gradient|) - 1 of images (slice, 1, y, x) in [-1, 1], with Sobel's gradient.

    The published kernels of three dimensions, applied to a volume that does not change from slice to
    slice, are Sobel's two of weights 1, 2, 1 and -1, 0, 1, unscaled. Outside the image is -1, that is
    no activity.
    """
    padded = nn.functional.pad(images, (1, 1, 1, 1), value=-1.0)
    along_x = _smoothed((padded[..., 2:] - padded[..., :-2]).mT).mT
    along_y = _smoothed(padded[..., 2:, :] - padded[..., :-2, :])
    gradient = torch.linalg.vector_norm(torch.stack([along_x, along_y]), dim=0)
    return 2 * gradient.tanh() - 1


def _smoothed(images: torch.Tensor) -> torch.Tensor:
    """Weights 1, 2, 1 along the last axis, which becomes shorter by 2."""
    return images[..., :-2] + 2 * images[..., 1:-1] + images[..., 2:]


def build(settings: Settings) -> EaGAN:
    """The untrained networks."""
    return EaGAN(settings)
