"""The multi-modality feature fusion module of MFdiff (section 3.1, Fig. 2b and 2c)."""

from __future__ import annotations

import torch
from torch import nn

from quietpet.methods.blocks.coupling import CouplingStack
from quietpet.methods.blocks.restormer import RestormerBlock
from quietpet.methods.mfdiff.settings import FusionSettings


class FeatureFusion(nn.Module):
    """F from LPET x_P and T1 x_M: intra-modality learning, then cross-modality aggregation.

    The two modalities share no weight. How aggregation combines them is not stated; their features are
    summed, as in CDDFuse, so that the fusion layers can mirror the branches (section 3.1.2).
    """

    def __init__(self, settings: FusionSettings) -> None:
        super().__init__()
        self.encoder_pet = _encoder(settings)
        self.encoder_mr = _encoder(settings)
        self.global_pet = _block(settings)
        self.global_mr = _block(settings)
        self.detail_pet = _detail(settings)
        self.detail_mr = _detail(settings)
        self.global_fusion = _block(settings)
        self.detail_fusion = _detail(settings)
        self.decoder = nn.Sequential(
            nn.Conv2d(2 * settings.channels, settings.channels, 1),
            *(_block(settings) for _ in range(settings.decoder_blocks)),
        )

    def forward(self, pet: torch.Tensor, mr: torch.Tensor) -> torch.Tensor:
        """Images (slice, 1, y, x) -> F (slice, C, y, x)."""
        features_pet, features_mr = self.encoder_pet(pet), self.encoder_mr(mr)  # Eq. 2
        global_fused = self.global_fusion(self.global_pet(features_pet) + self.global_mr(features_mr))
        detail_fused = self.detail_fusion(self.detail_pet(features_pet) + self.detail_mr(features_mr))
        return self.decoder(torch.cat([global_fused, detail_fused], dim=1))


def _encoder(settings: FusionSettings) -> nn.Sequential:
    """A 3x3 embedding and Restormer blocks, all at full resolution (Eq. 2)."""
    return nn.Sequential(
        nn.Conv2d(1, settings.channels, 3, padding=1),
        *(_block(settings) for _ in range(settings.encoder_blocks)),
    )


def _block(settings: FusionSettings) -> RestormerBlock:
    """The global branch (Eq. 3), and equally a block of encoder and decoder."""
    return RestormerBlock(channels=settings.channels, heads=settings.heads, expansion=settings.expansion)


def _detail(settings: FusionSettings) -> CouplingStack:
    """The detail branch (Eq. 4)."""
    return CouplingStack(
        channels=settings.channels, layers=settings.coupling_layers, expansion=settings.expansion
    )
