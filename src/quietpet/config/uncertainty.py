"""How the uncertainty of methods that sample is measured."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, field_validator

from quietpet.config.section import Section

Level = Annotated[float, Field(gt=0, lt=1)]


class UncertaintySettings(Section):
    """Intervals of methods that draw several samples of each slice."""

    levels: tuple[Level, ...] = Field(
        (0.5, 0.8, 0.9, 0.95),
        min_length=1,
        description="parts of the pixels that predictive intervals should hold",
    )

    @field_validator("levels")
    @classmethod
    def _rising(cls, levels: tuple[float, ...]) -> tuple[float, ...]:
        if list(levels) != sorted(set(levels)):
            raise ValueError(f"levels must rise, each once, got {list(levels)}")
        return levels
