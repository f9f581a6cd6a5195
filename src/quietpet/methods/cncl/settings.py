"""Settings of content-noise complementary learning."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Literal

from pydantic import Field

from quietpet.config.inputs import PetAndT1Settings
from quietpet.config.networks import OptimiserSettings
from quietpet.config.published import PublishedTraining
from quietpet.config.section import NonNegative

Width = Annotated[int, Field(ge=1)]


class Settings(PetAndT1Settings):
    """CNCL with U-Nets as predictors (Geng et al., IEEE Trans. Med. Imaging 41:407, 2022), T1 as input.

    Defaults are those of the published code.
    """

    kind: Literal["cncl"] = "cncl"
    widths: tuple[Width, ...] = Field(
        (64, 128, 256, 512, 1024),
        min_length=2,
        description="channels of the resolutions of each predictor, each half of the one before",
    )
    discriminator_widths: tuple[Width, ...] = Field(
        (64, 128, 256, 512),
        min_length=1,
        description="channels of the discriminator's layers before the last, each of which halves",
    )
    l1_weight: NonNegative = Field(100.0, description="of the mean absolute error of content and noise")

    @property
    def least_batch(self) -> int:
        return 2  # batch normalisation

    @property
    def divisor(self) -> int:
        # The discriminator normalises each of its maps, which must be of more than one pixel.
        return 2 ** max(len(self.widths) - 1, len(self.discriminator_widths) + 1)

    @property
    def published_parameters(self) -> Mapping[str, int]:
        return {"generator": 43_826_565, "discriminator": 2_765_760}

    @property
    def published_training(self) -> PublishedTraining:
        return PublishedTraining(
            source="gengmufeng/CNCL-denoising, training script",
            learning_rate=2e-5,
            optimiser=OptimiserSettings(kind="adam", betas=(0.5, 0.999), weight_decay=0.0),
            batch_size=2,
        )

    def describe(self) -> str:
        return (
            f"adversarial, content and noise predicted side by side; {self.l1_weight:g} L1 of both"
            f"{self.inputs_in_words}"
        )
