"""Settings of the multi-modality multi-task diffusion model (M2Diff)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from quietpet.config.diffusion import DiffusionSettings
from quietpet.config.methods import T1Use
from quietpet.config.networks import OptimiserSettings
from quietpet.config.published import PublishedTraining
from quietpet.config.section import NonNegative

_PUBLISHED_PARAMETERS = {(1, 1, 2, 3, 4): 202_683_779, (1, 1, 2, 2, 4, 4): 268_987_523}
"""By multipliers: for images of 128 and of 256 pixels, with the output layer that is never called."""


class Settings(DiffusionSettings):
    """M2Diff (Pain et al. 2026): two U-Nets, of PET and of T1, that both predict the standard dose.

    The defaults are the published network for images of 128 pixels. At 192 pixels its five resolutions
    are 192, 96, 48, 24 and 12 pixels, and it attends at 24 and 12 where it did at 16 and 8.
    """

    kind: Literal["m2diff"] = "m2diff"
    prediction: Literal["x0"] = Field(
        "x0", description="what both heads predict; their agreement is a part of the loss"
    )
    channels: int = Field(
        128, ge=2, multiple_of=2, description="of each branch at full resolution, and of its time waves"
    )
    multipliers: tuple[Annotated[int, Field(ge=1)], ...] = Field(
        (1, 1, 2, 3, 4),
        min_length=1,
        description="of the channels, per resolution, halved from one to the next; published for 256 "
        "pixels: (1, 1, 2, 2, 4, 4)",
    )
    attention: tuple[bool, ...] = Field(
        (False, False, False, True, True),
        description="attention of the PET branch per resolution; its middle block always attends, the "
        "T1 branch nowhere",
    )
    blocks: int = Field(
        2, ge=1, description="residual blocks per resolution on the way down; one more on the way up"
    )
    heads: int = Field(4, ge=1, description="of each attention")
    norm_groups: int = Field(32, ge=1, description="groups of the group normalisation")
    dropout: float = Field(0.2, ge=0, lt=1, description="share of features left out while training")
    loss_weights: tuple[NonNegative, NonNegative, NonNegative] = Field(
        (0.4, 0.4, 0.2),
        description="of the squared errors of the PET head and of the T1 head, and of the squared "
        "difference between them",
    )
    skip_replacement: float = Field(
        0.4,
        ge=0,
        lt=1,
        description="share of the training slices whose PET decoder gets the skip connections of its "
        "own encoder in place of those of the T1 branch, as where a slice has no T1; 0: it never "
        "learns to do without, as in the first published script; 0.4: that of the MRI-free mode",
    )
    t1: Literal["own", "none"] = Field(
        "own",
        description="own: slices are restored with their T1, where they have one; none: all of them "
        "without, by the same trained network",
    )

    @model_validator(mode="after")
    def _sizes_agree(self) -> Self:
        if len(self.attention) != len(self.multipliers):
            raise ValueError(
                f"attention has {len(self.attention)} entries, multipliers {len(self.multipliers)}"
            )
        if self.channels % self.norm_groups:
            raise ValueError(
                f"norm_groups = {self.norm_groups} must divide channels = {self.channels}, of which all "
                "widths are multiples"
            )
        for width in self._attended_widths():
            if width % self.heads:
                raise ValueError(f"heads = {self.heads} must divide the attended {width} features")
        return self

    @model_validator(mode="after")
    def _learns_to_do_without(self) -> Self:
        if self.t1 == "none" and self.skip_replacement == 0:
            raise ValueError(
                "t1 = none needs a network that has learned to do without T1, and with "
                "skip_replacement = 0 it does not; set skip_replacement, published: 0.4"
            )
        return self

    def _attended_widths(self) -> set[int]:
        pairs = zip(self.multipliers, self.attention, strict=True)
        chosen = {self.channels * multiplier for multiplier, on in pairs if on}
        return chosen | {self.channels * self.multipliers[-1]}

    def for_training(self) -> Self:
        return super().for_training().model_copy(update={"t1": "own"})

    @property
    def t1_use(self) -> T1Use:
        if self.t1 == "none":
            return "none"
        return "optional" if self.skip_replacement else "needed"

    @property
    def without_t1(self) -> str:
        if self.skip_replacement:
            return "skip connections of the PET branch in place of those of the T1 branch"
        return "refused: with skip_replacement = 0 it has not learned to do without"

    def on_pet_alone(self) -> Self | None:
        """The same trained network without T1; None where it has not learned to do without."""
        return self.model_copy(update={"t1": "none"}) if self.skip_replacement else None

    @property
    def learns_from_whole_heads(self) -> bool:
        return True  # group norm and, at the lowest resolution at least, self-attention

    @property
    def divisor(self) -> int:
        return 2 ** (len(self.multipliers) - 1)

    @property
    def published_parameters(self) -> Mapping[str, int]:
        published = _PUBLISHED_PARAMETERS.get(self.multipliers)
        return {} if published is None else {"network": published}

    @property
    def published_training(self) -> PublishedTraining:
        return PublishedTraining(
            source="Gnahy/M2Diff, m2diff.py; batches of 5 for ADNI, of 1 for DaCRA",
            learning_rate=1e-4,
            optimiser=OptimiserSettings(kind="adam", weight_decay=0.0),
            batch_size=5,
        )

    def describe(self) -> str:
        without = ", restored without T1" if self.t1 == "none" else ""
        return f"PET and T1 branch, {super().describe()}{without}"
