"""Settings of M-UNet."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from quietpet.config.inputs import PetAndT1Settings
from quietpet.config.published import PublishedTraining

Width = Annotated[int, Field(ge=1)]


class Settings(PetAndT1Settings):
    """M-UNet: the residual encoder-decoder of Chen et al. (Radiology 290:649, 2019), L1 loss.

    Not the ablation MUNet, which is a plain `unet` that sees T1 (`munet_concat`). The text of Chen et
    al. states no sizes; docs/methods/munet.md says where the defaults are from.
    """

    kind: Literal["munet"] = "munet"
    channels: tuple[Width, ...] = Field(
        (32, 64, 128), min_length=1, description="of each resolution above the central layer"
    )
    convolutions: int = Field(
        3, ge=1, description="3 x 3 convolutions per resolution, in the encoder and in the decoder"
    )

    @property
    def least_batch(self) -> int:
        return 2  # batch normalisation of one slice is instance normalisation

    @property
    def divisor(self) -> int:
        return 2 ** len(self.channels)

    @property
    def published_training(self) -> PublishedTraining:
        return PublishedTraining(
            source="Chen et al. 2019, materials and methods", learning_rate=2e-4, batch_size=4
        )

    def describe(self) -> str:
        seen = " + ".join(self.inputs)
        return f"M-UNet (Chen et al. 2019), residual encoder-decoder from {seen}, L1"
