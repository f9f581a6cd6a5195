"""How a method was trained where it was published."""

from __future__ import annotations

from typing import Any

from pydantic import Field

from quietpet.config.networks import EmaSettings, OptimiserSettings, ScheduleName, TrainingSettings
from quietpet.config.section import Positive, Section


class PublishedTraining(Section):
    """Settings of the optimiser in a method's own publication or code.

    They replace those of the section ``training`` where a method's ``optimiser`` is ``published``;
    data, scaling, patches, iterations and the criterion of selection stay those of all methods.
    A schedule is a shape over the iterations, however many these are.
    """

    source: str = Field(min_length=1, description="publication or code, and where in it")
    learning_rate: Positive
    optimiser: OptimiserSettings = OptimiserSettings(kind="adam", weight_decay=0.0)
    batch_size: int | None = Field(None, ge=1, description="none: the common one")
    schedule: ScheduleName = "constant"
    constant_share: float = Field(0.0, ge=0, lt=1)
    gradient_clip: Positive | None = None
    ema: EmaSettings = EmaSettings()

    def applied_to(self, common: TrainingSettings, *, rate_factor: float = 1.0) -> TrainingSettings:
        """``common`` with these settings, without its warm-up and trials of a rate."""
        without = {"warmup_iterations": 0, "learning_rate_trials": None}
        changes: dict[str, Any] = {**without, **self.model_dump(exclude={"source"})}
        changes["learning_rate"] *= rate_factor
        if self.batch_size is None:
            del changes["batch_size"]
        return TrainingSettings.model_validate({**common.model_dump(), **changes})

    def describe(self, common: TrainingSettings) -> str:
        """What replaces ``common``, for the table column ``protocol``."""
        own = self.applied_to(common)
        return (
            f"optimiser settings of its own publication: {own.optimiser.describe()}, learning rate "
            f"{own.learning_rate:g}{own.schedule_in_words}, batches of {own.batch_size} ({self.source})"
        )
