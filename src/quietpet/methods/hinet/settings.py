"""Settings of the hybrid-fusion network (Hi-Net)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from pydantic import Field

from quietpet.config.methods import MethodSettings
from quietpet.config.networks import OptimiserSettings
from quietpet.config.published import PublishedTraining
from quietpet.config.section import NonNegative

POOLINGS = 3
"""How often the encoders halve the resolution."""


class Settings(MethodSettings):
    """Hi-Net (Zhou et al. 2020): synthesis from two modalities whose features are fused at each layer.

    The defaults are the sizes and weights of the published code, whose losses compare images of the
    range of tanh.
    """

    kind: Literal["hinet"] = "hinet"
    channels: int = Field(
        32, ge=1, description="of the encoders at full resolution, doubled at each of the next two"
    )
    discriminator_channels: int = Field(
        32, ge=1, description="of the discriminator's first layer, doubled at each of the next three"
    )
    adversarial_weight: NonNegative = Field(
        1.0, description="weight of the generator's least-squares adversarial loss"
    )
    target_weight: NonNegative = Field(
        100.0, description="weight of the mean absolute difference to the standard-dose image"
    )
    input_weight: NonNegative = Field(
        20.0,
        description="weight of the mean absolute difference between each input, low-dose image and T1, "
        "and its reconstruction by an auxiliary decoder",
    )
    headroom: float = Field(
        1.5,
        ge=1,
        description="largest value that can be restored / largest standard-dose value of the validation "
        "slices; tanh, the last layer, has a limit, and a hot lesion must stay below it",
    )

    @property
    def without_t1(self) -> str:
        return "refused: it fuses the features of two encoders, one of PET and one of T1"

    @property
    def least_batch(self) -> int:
        return 2  # batch normalisation: statistics of one slice would remove its mean activity

    @property
    def divisor(self) -> int:
        return 2**POOLINGS

    @property
    def published_parameters(self) -> Mapping[str, int]:
        return {"generator": 3_872_259, "discriminator": 391_041}

    @property
    def published_training(self) -> PublishedTraining:
        # Batches there are all patches of one subject, however many these are.
        return PublishedTraining(
            source="taozh2017/HiNet, config.py: 100 epochs, then 300 of decay",
            learning_rate=1e-3,
            optimiser=OptimiserSettings(kind="adam", betas=(0.5, 0.999), weight_decay=0.0),
            schedule="linear",
            constant_share=0.25,
        )

    def describe(self) -> str:
        adversarial, target, inputs = self.adversarial_weight, self.target_weight, self.input_weight
        return (
            f"{adversarial:g} least-squares adversarial + {target:g} L1 "
            f"+ {inputs:g} L1 of the reconstructed inputs"
        )
