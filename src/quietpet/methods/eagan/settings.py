"""Settings of the edge-aware generative adversarial network."""

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
    """dEa-GAN in two dimensions (Yu et al., IEEE Trans. Med. Imaging 38:1750, 2019), with T1 as input.

    Defaults are those of the published code, with six resolutions, as many as 192 pixels allow.
    """

    kind: Literal["eagan"] = "eagan"
    widths: tuple[Width, ...] = Field(
        (64, 128, 256, 512, 512, 512),
        min_length=2,
        description="channels of the generator's resolutions, the first of half the image's, each half "
        "of the one before",
    )
    dropout: float = Field(
        0.5, ge=0, lt=1, description="from the fifth resolution on, but for the coarsest; in training"
    )
    discriminator_widths: tuple[Width, ...] = Field(
        (64, 128, 256, 512),
        min_length=1,
        description="channels of the discriminator's layers before the last",
    )
    l1_weight: NonNegative = Field(
        300.0, description="of the mean absolute error of the image, which is scaled to [-1, 1]"
    )
    sobel_weight: NonNegative = Field(
        100.0, description="of the mean absolute error of the Sobel edges, once it has risen"
    )
    sobel_ramp_iterations: int = Field(
        6667,
        ge=0,
        description="iterations over which the weight of the edges rises from 0; 20 of 150 epochs are "
        "published, here that share of 50,000",
    )
    headroom: float = Field(
        1.5,
        ge=1,
        description="largest value that can be restored / largest standard dose of validation slices",
    )

    @property
    def least_batch(self) -> int:
        return 2  # batch normalisation

    @property
    def divisor(self) -> int:
        return 2 ** len(self.widths)

    @property
    def published_parameters(self) -> Mapping[str, int]:
        return {"generator": 29_242_369, "discriminator": 2_767_553}

    @property
    def published_training(self) -> PublishedTraining:
        return PublishedTraining(
            source="by-lab/Ea-GANs, train_dEaGAN.sh: 100 epochs, then 50 of decay",
            learning_rate=2e-4,
            optimiser=OptimiserSettings(kind="adam", betas=(0.5, 0.999), weight_decay=0.0),
            batch_size=6,
            schedule="linear",
            constant_share=2 / 3,
        )

    def describe(self) -> str:
        return (
            "adversarial, the discriminator sees edges; "
            f"{self.l1_weight:g} L1 + {self.sobel_weight:g} L1 of Sobel edges"
            f"{self.inputs_in_words}"
        )
