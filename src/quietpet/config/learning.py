"""Learning in stages: on what networks are trained, one data set after another."""

from __future__ import annotations

from typing import Annotated, Self

from pydantic import Field, model_validator

from quietpet.config.networks import TrainingSettings
from quietpet.config.section import LABEL, SETTING, Label, Positive, Section

OWN = "own"
"""In a stage's data: the data set and setting that the network is to restore.

As the setting of a named data set, ``healthy/own``: the setting alone.
"""

DataReference = Annotated[str, Field(pattern=f"^({OWN}|{LABEL}/{SETTING})$")]


class LearningStage(Section):
    """One training: its data, and what differs from the section ``training``."""

    data: tuple[DataReference, ...] = Field(
        min_length=1,
        description="dataset/setting, all slices drawn alike often; own: those to be restored, on "
        "which the stage is then validated; without own, it is on the first. dataset/own: another "
        "simulated data set at the dose that is to be restored",
    )
    iterations: int | None = Field(None, ge=1, description="optimiser steps; none: training.iterations")
    learning_rate: Positive | None = Field(
        None, description="peak learning rate; none: training.learning_rate"
    )

    @property
    def changes(self) -> dict[str, int | float]:
        """What differs from the section ``training``."""
        given = {"iterations": self.iterations, "learning_rate": self.learning_rate}
        return {name: value for name, value in given.items() if value is not None}

    def training(self, common: TrainingSettings) -> TrainingSettings:
        """The settings of this stage; raises ValueError when they contradict each other."""
        return TrainingSettings.model_validate({**common.model_dump(), **self.changes})


class ComparedMethods(Section):
    """Which methods learn under every regime, and under which the others do."""

    methods: tuple[Label, ...] = Field(
        min_length=1, description="methods that learn under all regimes of a data set"
    )
    others: tuple[Label, ...] = Field(
        min_length=1,
        description="regimes of all other networks; a data set without them leaves those out",
    )

    def of(self, method: str, regimes: tuple[str, ...]) -> tuple[str, ...]:
        """Those of a data set's ``regimes`` under which ``method`` learns."""
        if method in self.methods:
            return regimes
        return tuple(regime for regime in regimes if regime in self.others)


class LearningSettings(Section):
    """Regimes under which networks learn to restore the data sets in ``domains``."""

    stages: dict[Label, LearningStage] = Field(min_length=1)
    regimes: dict[Label, tuple[Label, ...]] = Field(
        min_length=1,
        description="stages in their order, each starting from the weights of the one before; the "
        "regime's name is the value of the table column 'learning'",
    )
    compared: ComparedMethods | None = Field(
        None,
        description="methods whose regimes are compared, in Tables 6 and 7, while the others learn as "
        "the other tables ask; none: all methods are",
    )

    @model_validator(mode="after")
    def _stages_exist(self) -> Self:
        for regime, stages in self.regimes.items():
            if not stages:
                raise ValueError(f"regime {regime!r} has no stages")
            for stage in stages:
                if stage not in self.stages:
                    raise ValueError(
                        f"regime {regime!r} names the unknown stage {stage!r}; known: "
                        f"{', '.join(self.stages)}"
                    )
        return self

    @model_validator(mode="after")
    def _others_exist(self) -> Self:
        for regime in self.compared.others if self.compared else ():
            if regime not in self.regimes:
                raise ValueError(
                    f"compared.others names the unknown regime {regime!r}; known: "
                    f"{', '.join(self.regimes)}"
                )
        return self

    @property
    def references(self) -> set[str]:
        """Every dataset/setting that a stage names, dataset/own among them."""
        return {reference for stage in self.stages.values() for reference in stage.data} - {OWN}
