"""The multi-modality feature fusion module of MFdiff (section 3.1, Fig. 2b and 2c)."""

from __future__ import annotations

from typing import Literal

import torch
from torch import nn

from quietpet.config.fusion import Branch, FusionSettings
from quietpet.methods.blocks.coupling import CouplingStack
from quietpet.methods.blocks.restormer import RestormerBlock


class FeatureFusion(nn.Module):
    """F from LPET x_P and T1 x_M: intra-modality learning, then cross-modality aggregation.

    The two modalities share no weight, and neither do two branches of one kind.
    """

    def __init__(self, settings: FusionSettings) -> None:
        super().__init__()
        self.encoder_pet = _encoder(settings)
        self.encoder_mr = _encoder(settings)
        self.branches = nn.ModuleList(_FusedBranch(kind, settings) for kind in settings.branches)
        self.decoder = nn.Sequential(
            nn.Conv2d(len(settings.branches) * settings.channels, settings.channels, 1),
            *(_block(settings) for _ in range(settings.decoder_blocks)),
        )

    def forward(self, pet: torch.Tensor, mr: torch.Tensor) -> torch.Tensor:
        """Images (slice, 1, y, x) -> F (slice, C, y, x)."""
        features_pet, features_mr = self.encoder_pet(pet), self.encoder_mr(mr)  # Eq. 2
        fused = [branch(features_pet, features_mr) for branch in self.branches]
        return self.decoder(torch.cat(fused, dim=1))


class _FusedBranch(nn.Module):
    """One branch of both modalities, and the fusion layer that mirrors it (section 3.1.2)."""

    def __init__(self, kind: Branch, settings: FusionSettings) -> None:
        super().__init__()
        make = {"global": _global, "detail": _detail}[kind]
        self.pet, self.mr, self.fusion = (make(settings) for _ in range(3))
        self.aggregation = (
            nn.Conv2d(2 * settings.channels, settings.channels, 1)
            if settings.aggregation == "concat"
            else None
        )

    def forward(self, features_pet: torch.Tensor, features_mr: torch.Tensor) -> torch.Tensor:
        """Features (slice, C, y, x) of the two modalities -> of both, same shape."""
        pet, mr = self.pet(features_pet), self.mr(features_mr)
        both = pet + mr if self.aggregation is None else self.aggregation(torch.cat([pet, mr], dim=1))
        return self.fusion(both)


def _encoder(settings: FusionSettings) -> nn.Sequential:
    """A 3x3 embedding and Restormer blocks, all at full resolution (Eq. 2)."""
    return nn.Sequential(
        nn.Conv2d(1, settings.channels, 3, padding=1),
        *(_block(settings) for _ in range(settings.encoder_blocks)),
    )


def _block(
    settings: FusionSettings, *, attention: Literal["channel", "spatial"] = "channel"
) -> RestormerBlock:
    """A block of encoder and decoder."""
    return RestormerBlock(
        channels=settings.channels,
        heads=settings.heads,
        expansion=settings.expansion,
        attention=attention,
    )


def _global(settings: FusionSettings) -> RestormerBlock:
    """The global branch (Eq. 3)."""
    return _block(settings, attention=settings.global_attention)


def _detail(settings: FusionSettings) -> CouplingStack:
    """The detail branch (Eq. 4)."""
    return CouplingStack(
        channels=settings.channels,
        layers=settings.coupling_layers,
        expansion=settings.expansion,
        log_scale_bound=settings.log_scale_bound,
    )
