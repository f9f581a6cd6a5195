"""Settings of networks to which T1 is one more input channel, and which can learn without."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import Field, field_validator

from quietpet.config.methods import MethodSettings, T1Use
from quietpet.config.section import Section

Input = Literal["low", "t1"]
"""An image that a network sees: the low dose, or T1."""


class WithoutT1(Section):
    """A method that uses T1, its variant without it, if a study has one, and how that does without.

    Or why there is none.
    """

    method: str
    variant: str | None
    how: str


class PetAndT1Settings(MethodSettings):
    """Whether a network that takes T1 as a further input channel has it."""

    inputs: tuple[Input, ...] = Field(
        ("low", "t1"),
        description="images that the network sees, the low dose first; [low]: trained on PET alone, all "
        "else equal",
    )

    @field_validator("inputs")
    @classmethod
    def _pet_first(cls, inputs: tuple[Input, ...]) -> tuple[Input, ...]:
        if inputs not in (("low", "t1"), ("low",)):
            raise ValueError(f"inputs = {list(inputs)} must be [low, t1] or [low]")
        return inputs

    @property
    def sees_t1(self) -> bool:
        """Whether T1 is among the inputs."""
        return "t1" in self.inputs

    @property
    def inputs_in_words(self) -> str:
        """The end of a description of what was trained: says what is not the usual."""
        return "" if self.sees_t1 else "; from PET alone"

    @property
    def t1_use(self) -> T1Use:
        return "needed" if self.sees_t1 else "none"

    def on_pet_alone(self) -> Self:
        return self.model_copy(update={"inputs": ("low",)})
