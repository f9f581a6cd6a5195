"""Settings of the multi-modality fusion diffusion model (MFdiff).

The paper states 192 x 192 images, T = 1000, linear noise of Ho et al. (2020), epsilon prediction,
ancestral sampling of 1000 steps (the defaults of every diffusion method), three coupling layers and two
decoder blocks. It states no width and no depth: the defaults below are those of the works it builds on,
each with its reason.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from quietpet.config.diffusion import DiffusionSettings
from quietpet.config.fusion import FusionSettings
from quietpet.config.section import Section

Width = Annotated[int, Field(ge=1)]


class DenoiserSettings(Section):
    """Sizes of the denoising attention U-Net (section 3.2)."""

    channels: tuple[Width, ...] = Field(
        (128, 128, 256, 256, 512, 512),
        min_length=2,
        description="per resolution, halved from one to the next; the 256-pixel network of Ho et al.",
    )
    attention: tuple[bool, ...] = Field(
        (False, False, False, True, True, False),
        description="attention per resolution; Ho et al. attend at 16 pixels, 192 offers 24 and 12",
    )
    res_blocks: int = Field(2, ge=1, description="residual blocks per resolution; 2 in Ho et al.")
    norm_groups: int = Field(32, ge=1, description="groups of the group normalisation; 32 in Ho et al.")
    head_channels: int = Field(
        64, ge=1, description="channels per attention head; usual since ADM (2021)"
    )

    @model_validator(mode="after")
    def _sizes_agree(self) -> DenoiserSettings:
        if len(self.attention) != len(self.channels):
            raise ValueError(
                f"attention has {len(self.attention)} entries, channels {len(self.channels)}"
            )
        for width in self.channels:
            if width % self.norm_groups:
                raise ValueError(f"norm_groups = {self.norm_groups} must divide channels = {width}")
            if width in self._attended() and width % self.head_channels:
                raise ValueError(f"head_channels = {self.head_channels} must divide channels = {width}")
        return self

    def _attended(self) -> set[int]:
        # The middle block, of the last width, always attends.
        chosen = {width for width, on in zip(self.channels, self.attention, strict=True) if on}
        return chosen | {self.channels[-1]}


class Settings(DiffusionSettings):
    """MFdiff: fusion of low-dose PET and T1, and a diffusion model conditioned on it."""

    kind: Literal["mfdiff"] = "mfdiff"
    fusion: FusionSettings = FusionSettings()
    denoiser: DenoiserSettings = DenoiserSettings()

    @property
    def without_t1(self) -> str:
        return "refused: its condition is fused from the features of PET and T1"

    @property
    def learns_from_whole_heads(self) -> bool:
        return True  # group norm and, at the lowest resolution at least, self-attention

    @property
    def divisor(self) -> int:
        return 2 ** (len(self.denoiser.channels) - 1)
