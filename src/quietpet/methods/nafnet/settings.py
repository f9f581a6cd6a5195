"""Settings of NAFNet."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Literal

from pydantic import Field, model_validator

from quietpet.config.inputs import PetAndT1Settings
from quietpet.config.networks import OptimiserSettings
from quietpet.config.published import PublishedTraining

Blocks = Annotated[int, Field(ge=1)]


class Settings(PetAndT1Settings):
    """NAFNet (Chen et al., ECCV 2022) on low-dose image and T1: what regression can do today.

    The defaults are the published network for denoising (SIDD) of width 32.
    """

    kind: Literal["nafnet"] = "nafnet"
    width: int = Field(32, ge=1, description="channels of the first resolution, doubled at each next")
    encoder_blocks: tuple[Blocks, ...] = Field(
        (2, 2, 4, 8), min_length=1, description="NAFBlocks of each resolution, before it is halved"
    )
    middle_blocks: int = Field(12, ge=1, description="NAFBlocks of the lowest resolution")
    decoder_blocks: tuple[Blocks, ...] = Field(
        (2, 2, 2, 2), min_length=1, description="NAFBlocks of each resolution on the way up"
    )
    loss: Literal["mse", "l1"] = Field(
        "mse", description="the metrics PSNR and NMSE are of squared errors"
    )

    @model_validator(mode="after")
    def _as_many_up_as_down(self) -> Settings:
        if len(self.encoder_blocks) != len(self.decoder_blocks):
            raise ValueError(
                f"decoder_blocks has {len(self.decoder_blocks)} resolutions, "
                f"encoder_blocks {len(self.encoder_blocks)}"
            )
        return self

    @property
    def learns_from_whole_heads(self) -> bool:
        return True  # its attention averages channels over the field of view

    @property
    def divisor(self) -> int:
        return 2 ** len(self.encoder_blocks)

    @property
    def published_parameters(self) -> Mapping[str, int]:
        return {"network": 29_159_715}

    @property
    def published_training(self) -> PublishedTraining:
        return PublishedTraining(
            source="options/train/SIDD/NAFNet-width32.yml of its code",
            learning_rate=1e-3,
            optimiser=OptimiserSettings(kind="adamw", betas=(0.9, 0.9), weight_decay=0.0),
            batch_size=32,
            schedule="cosine",
            gradient_clip=0.01,
        )

    def describe(self) -> str:
        seen = " + ".join(self.inputs)
        return f"NAFNet (Chen et al. 2022), regression from {seen}, {self.loss.upper()}"
