"""Which data sets are compared region by region, as the healthy and the diseased."""

from __future__ import annotations

from typing import Self

from pydantic import Field, model_validator

from quietpet.config.section import Label, Section

HEAD = "head"
"""Everything inside the head, as a region of its own."""


class CohortComparison(Section):
    """Healthy and diseased data sets whose regions are compared at every dose, by every method."""

    healthy: Label = Field(description="data set of the healthy")
    diseased: tuple[Label, ...] = Field(
        min_length=1, description="data sets of diseased people, each compared with the healthy"
    )
    reference: Label = Field(
        "sensorimotor",
        description="region whose mean divides the others', one that the disease spares; head: all "
        "inside the head, of which the disease takes a part, so that the effect of each region looks "
        "smaller (Borghammer et al., NeuroImage 46:981 (2009))",
    )

    @property
    def datasets(self) -> tuple[str, ...]:
        """All of them, the healthy first."""
        return (self.healthy, *self.diseased)

    @model_validator(mode="after")
    def _each_once(self) -> Self:
        repeated = [name for name in self.datasets if self.datasets.count(name) > 1]
        if repeated:
            raise ValueError(f"the data set {repeated[0]!r} is named twice; name each once")
        return self
