"""Settings of the regression U-Net."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, field_validator

from quietpet.config.fusion import FusionSettings
from quietpet.config.inputs import Input
from quietpet.config.methods import MethodSettings, T1Use
from quietpet.config.section import NonNegative

Width = Annotated[int, Field(ge=1)]


class Settings(MethodSettings):
    """A plain U-Net trained by regression: the ablations of MFdiff without diffusion (section 5.3).

    UNet sees the low-dose image, MUNet also T1. In GMUNet, DMUNet and CMUNet the fusion module replaces
    that concatenation: the network sees concat(x_P, F), as MFdiff's denoiser does beside x_t. The paper
    names the architecture [53] and no sizes or loss; the defaults are those of [53].
    """

    kind: Literal["unet"] = "unet"
    inputs: tuple[Input, ...] = Field(
        ("low",), min_length=1, description="images concatenated as input channels; [low, t1]: MUNet"
    )
    fusion: FusionSettings | None = Field(
        None,
        description="features fused from low-dose image and T1 as further input channels; branches "
        "[global, global]: GMUNet, [detail, detail]: DMUNet, [global, detail]: CMUNet",
    )
    features: tuple[Width, Width, Width, Width, Width, Width] = Field(
        (64, 128, 256, 512, 1024, 64),
        description="channels of the five resolutions, then of the last layer; as in Ronneberger et al.",
    )
    normalisation: Literal["none", "batch", "group"] = Field(
        "batch",
        description="after each convolution; batch (as in M-UNet, Chen et al. 2019) trains fastest, and "
        "treats patches and whole slices alike; group: four groups; instance normalisation would "
        "remove the mean activity",
    )
    loss: Literal["mse", "l1"] = Field(
        "mse", description="the metrics PSNR and NMSE are of squared errors"
    )
    own_maximum_weight: NonNegative = Field(
        0.0,
        description="weight of the same loss between the images divided by their own maxima, the "
        "scaling of the metrics `paper`; other than 0 it favours this method there over those that are "
        "not trained for it, and its rows say so",
    )
    residual: bool = Field(
        True, description="the network predicts the difference to the low-dose image (Chen et al. 2019)"
    )

    @field_validator("inputs")
    @classmethod
    def _distinct(cls, inputs: tuple[Input, ...]) -> tuple[Input, ...]:
        if len(set(inputs)) != len(inputs):
            raise ValueError(f"each input may be given once, got {list(inputs)}")
        return inputs

    @property
    def t1_use(self) -> T1Use:
        return "needed" if self.fusion or "t1" in self.inputs else "none"

    @property
    def without_t1(self) -> str:
        return "refused: its module fuses PET with T1" if self.fusion else super().without_t1

    def on_pet_alone(self) -> Self | None:
        return None if self.fusion else self.model_copy(update={"inputs": ("low",)})

    @property
    def learns_from_whole_heads(self) -> bool:
        attends = self.fusion is not None
        return self.normalisation == "group" or (attends and self.normalisation == "none")

    @property
    def least_batch(self) -> int:
        # Statistics of one slice are those of instance normalisation, and of a patch as small as the
        # coarsest resolution is coarse, of one value.
        return 2 if self.normalisation == "batch" else 1

    @property
    def divisor(self) -> int:
        return 2 ** (len(self.features) - 2)  # the last width is that of the output layer

    def describe(self) -> str:
        sources: list[str] = [*self.inputs]
        if self.fusion:
            sources.append(f"fusion ({', '.join(self.fusion.branches)})")
        scaling = f" and that in the scaling of `paper`, weight {self.own_maximum_weight:g}"
        return (
            f"regression from {' + '.join(sources)}, {self.loss.upper()}"
            f"{scaling if self.own_maximum_weight else ''}"
        )
