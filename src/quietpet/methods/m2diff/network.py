"""The network of M2Diff: two U-Nets of improved DDPM (Nichol & Dhariwal 2021) that exchange skips."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TypeVar

import torch
from torch import nn

from quietpet.methods.blocks.attention import SpatialAttention
from quietpet.methods.blocks.monai_networks import get_timestep_embedding
from quietpet.methods.m2diff.settings import Settings

Layer = TypeVar("Layer", bound=nn.Module)

_INPUTS = 2
"""Of each branch: its own image and the noisy one."""


class TwoBranchUNet(nn.Module):
    """Both branches see the noisy image and the time; every decoder block sees the skips of both."""

    def __init__(self, settings: Settings) -> None:
        super().__init__()
        self._waves = settings.channels
        embedded = 4 * settings.channels
        self.embedding = nn.Sequential(
            nn.Linear(settings.channels, embedded), nn.SiLU(), nn.Linear(embedded, embedded)
        )
        self.pet = Branch(settings, attends=True)
        self.mri = Branch(settings, attends=False)

    def forward(
        self,
        noisy: torch.Tensor,
        times: torch.Tensor,
        *,
        low: torch.Tensor,
        t1: torch.Tensor | None,
        guided: torch.Tensor,
        both: bool,
    ) -> tuple[torch.Tensor, ...]:
        """The output (slice, 1, y, x) of the PET head, and of the T1 head if ``both``.

        All images are (slice, 1, y, x), ``times`` int64 (slice,). Slices that are not ``guided``
        (slice,) get the skips of the PET branch in place of those of the T1 branch: neither the PET head
        nor its gradients then depend on their T1, which still must be finite. ``t1`` may be None where
        no slice is guided and the PET head alone is wanted; the T1 branch then does not run.
        """
        embedded = self.embedding(get_timestep_embedding(times, self._waves))
        pet = self.pet.encode(torch.cat([noisy, low], dim=1), embedded)
        if t1 is None:
            return (self.pet.decode(pet, pet, embedded),)
        mri = self.mri.encode(torch.cat([t1, noisy], dim=1), embedded)
        chosen = guided.reshape(-1, 1, 1, 1)
        other = [torch.where(chosen, of_mri, of_pet) for of_mri, of_pet in zip(mri, pet, strict=True)]
        restored = self.pet.decode(pet, other, embedded)
        return (restored, self.mri.decode(mri, pet, embedded)) if both else (restored,)


class Branch(nn.Module):
    """U-Net of residual blocks whose decoder takes two skips at each of its blocks.

    A skip is the output of one layer of the encoder, the first convolution and those that halve the
    resolution included.
    """

    def __init__(self, settings: Settings, *, attends: bool) -> None:
        super().__init__()
        widths = _widths_of_skips(settings)
        self.encoder = nn.ModuleList(_encoder(settings, attends=attends))
        self.middle = nn.ModuleList(_middle(settings, widths[-1], attends=attends))
        self.decoder = nn.ModuleList(_decoder(settings, widths, attends=attends))
        self.head = nn.Conv2d(settings.channels * settings.multipliers[0], 1, 3, padding=1)

    def encode(self, images: torch.Tensor, embedded: torch.Tensor) -> list[torch.Tensor]:
        """Skips of ``images`` (slice, 2, y, x), the first at full and the last at least resolution."""
        features, skips = images, []
        for layer in self.encoder:
            features = layer(features, embedded) if isinstance(layer, Block) else layer(features)
            skips.append(features)
        return skips

    def decode(
        self, own: Sequence[torch.Tensor], other: Sequence[torch.Tensor], embedded: torch.Tensor
    ) -> torch.Tensor:
        """The image (slice, 1, y, x) of the branch's ``own`` skips and those of the ``other`` one."""
        features = own[-1]
        for block in self.middle:
            features = block(features, embedded)
        for block, *skips in zip(self.decoder, reversed(own), reversed(other), strict=True):
            features = block(torch.cat([features, *skips], dim=1), embedded)
        return self.head(features)


def _levels(settings: Settings) -> list[tuple[int, bool]]:
    """Width of the features at each resolution, the full one first, and whether there is attention."""
    pairs = zip(settings.multipliers, settings.attention, strict=True)
    return [(settings.channels * multiplier, attention) for multiplier, attention in pairs]


def _widths_of_skips(settings: Settings) -> list[int]:
    """Of every layer of the encoder, in their order."""
    widths = [settings.channels]
    for level, (width, _) in enumerate(_levels(settings)):
        widths += [widths[-1]] if level else []
        widths += [width] * settings.blocks
    return widths


def _encoder(settings: Settings, *, attends: bool) -> Iterator[nn.Module]:
    """A convolution, and the blocks of each resolution, all but the first after a halving."""
    before = settings.channels
    yield nn.Conv2d(_INPUTS, before, 3, padding=1)
    for level, (width, attention) in enumerate(_levels(settings)):
        if level:
            yield nn.Conv2d(before, before, 3, stride=2, padding=1)
        for _ in range(settings.blocks):
            yield Block(settings, before, width, attends=attends and attention)
            before = width


def _middle(settings: Settings, width: int, *, attends: bool) -> Iterator[nn.Module]:
    """Blocks at the least resolution: two with attention between them, or one."""
    yield Block(settings, width, width, attends=attends)
    if attends:
        yield Block(settings, width, width, attends=False)


def _decoder(settings: Settings, skipped: Sequence[int], *, attends: bool) -> Iterator[nn.Module]:
    """The blocks of each resolution, the least first; each takes two skips of a width of ``skipped``."""
    before, skips = skipped[-1], reversed(skipped)
    for level, (width, attention) in reversed(list(enumerate(_levels(settings)))):
        for number in range(settings.blocks + 1):
            yield Block(
                settings,
                before + 2 * next(skips),
                width,
                attends=attends and attention,
                doubles=level > 0 and number == settings.blocks,
            )
            before = width


class Block(nn.Module):
    """Residual block, from ``before`` to ``after`` channels, that also sees the time.

    Then, where asked for, attention and a doubling of the resolution.
    """

    def __init__(
        self, settings: Settings, before: int, after: int, *, attends: bool, doubles: bool = False
    ) -> None:
        super().__init__()
        self.first = nn.Sequential(
            nn.GroupNorm(settings.norm_groups, before),
            nn.SiLU(),
            nn.Conv2d(before, after, 3, padding=1),
        )
        self.time = nn.Sequential(nn.SiLU(), nn.Linear(4 * settings.channels, 2 * after))
        self.norm = nn.GroupNorm(settings.norm_groups, after)
        self.second = nn.Sequential(
            nn.SiLU(), nn.Dropout(settings.dropout), _zero(nn.Conv2d(after, after, 3, padding=1))
        )
        self.skip = nn.Identity() if before == after else nn.Conv2d(before, after, 1)
        self.attention = (
            Attention(after, heads=settings.heads, norm_groups=settings.norm_groups)
            if attends
            else nn.Identity()
        )
        self.enlarge = (
            nn.Sequential(nn.Upsample(scale_factor=2), nn.Conv2d(after, after, 3, padding=1))
            if doubles
            else nn.Identity()
        )

    def forward(self, features: torch.Tensor, embedded: torch.Tensor) -> torch.Tensor:
        """Features (slice, channel, y, x); the embedded time is (slice, embedded).

        Time scales and shifts the normalised features (FiLM, Perez et al. 2018).
        """
        scale, shift = self.time(embedded)[:, :, None, None].chunk(2, dim=1)
        new = self.second(self.norm(self.first(features)) * (1 + scale) + shift)
        return self.enlarge(self.attention(self.skip(features) + new))


class Attention(nn.Module):
    """Self-attention between all pixels of the normalised features, added to these."""

    def __init__(self, channels: int, *, heads: int, norm_groups: int) -> None:
        super().__init__()
        self.norm = nn.GroupNorm(norm_groups, channels)
        self.attend = SpatialAttention(channels=channels, heads=heads, bias=True)
        _zero(self.attend.project_out)

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """Features (slice, channel, y, x) in and out."""
        return features + self.attend(self.norm(features))


def _zero(layer: Layer) -> Layer:
    """``layer`` with all its numbers 0, so that its block begins as its skip connection."""
    for parameter in layer.parameters():
        nn.init.zeros_(parameter)
    return layer
