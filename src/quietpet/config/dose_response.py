"""What is shown of data sets with several doses."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, field_validator

from quietpet.config.robustness import TestSet
from quietpet.config.section import Section

Fraction = Annotated[float, Field(gt=0, lt=1)]
Factor = Annotated[float, Field(gt=1)]


TRAINED_AT = "@"
"""In ``learning`` of scores, between how a method learned and the dose at which it did, if another."""


class DoseResponseSettings(Section):
    """Data sets with several low doses of the same test subjects: the tables `dose_response`.

    A study without such a data set has none of it.
    """

    fractions: dict[TestSet, Fraction] = Field(
        {},
        description="dataset/setting: fraction of the standard dose, in place of what the configuration "
        "says of it; needed where it says nothing, as of pairs",
    )
    factors: tuple[Factor, ...] = Field(
        (2.0, 4.0),
        description="find the dose at which a method equals an untreated scan of so many times the dose",
    )
    cross: bool = Field(
        False,
        description="also restore every dose of phantoms with what methods learned at each other one: a "
        "matrix of trained at and tested at, first trainings alone",
    )

    @field_validator("factors")
    @classmethod
    def _rising(cls, factors: tuple[float, ...]) -> tuple[float, ...]:
        if list(factors) != sorted(set(factors)):
            raise ValueError(f"factors must rise, each once, got {list(factors)}")
        return factors
