"""Jobs that train a method, apply it and plan its sampling."""

from __future__ import annotations

from typing import Self

from pydantic import model_validator

from quietpet.config.diffusion import DiffusionSettings
from quietpet.config.method_kinds import AnyMethodSettings
from quietpet.config.methods import MethodSettings
from quietpet.config.networks import InferenceSettings, RateTrialsSettings, TrainingSettings
from quietpet.config.planner import PlannerSettings
from quietpet.jobs.acquisition import AcquisitionJob
from quietpet.jobs.job import Job
from quietpet.methods.registry import code_of


class MethodJob(Job):
    """Names one replicate of one method on one data set."""

    dataset: str
    setting: str
    method: str
    replicate: str


class LearningJob(MethodJob):
    """What training and applying a method have in common."""

    study_seed: int
    model: AnyMethodSettings
    acquisition: AcquisitionJob | None = None

    @model_validator(mode="after")
    def _measured(self) -> Self:
        if self.model.reconstructs != (self.acquisition is not None):
            raise ValueError(
                "acquisition is given for methods that reconstruct, and for no other: it says how their "
                "sinograms were measured; slices of scans have none"
            )
        return self

    @property
    def named_code(self) -> tuple[str, ...]:
        return self._code_of(self.model)

    def _code_of(self, *models: MethodSettings) -> tuple[str, ...]:
        measuring = self.acquisition.named_code if self.acquisition else ()
        return (*code_of(*models), *measuring)


class FitJob(LearningJob):
    """Train one replicate of one method, or one stage of its learning.

    ``dataset`` and ``setting`` name the validation slices and, unless ``trained_on`` names others, the
    training data. ``stages`` are the stages of learning up to and with this one; where it ``continues``,
    others went before. ``train_acquisitions`` tells a method that learns from sinograms how those
    of each of its training data were measured.
    """

    stages: tuple[str, ...] = ()
    trained_on: tuple[tuple[str, str], ...] = ()
    train_acquisitions: tuple[AcquisitionJob, ...] = ()
    continues: bool = False
    training: TrainingSettings

    @model_validator(mode="after")
    def _sinograms_to_learn_from(self) -> Self:
        wanted = max(1, len(self.trained_on)) if self.model.learns_from_sinograms else 0
        if len(self.train_acquisitions) != wanted:
            raise ValueError(
                f"{len(self.train_acquisitions)} train_acquisitions where {self.method} needs {wanted}: "
                "one for each data set that a method learns from with sinograms, and none for any other"
            )
        if wanted and (self.training.patch_pixels or self.training.flip):
            raise ValueError(
                f"{self.method} learns from whole, unmirrored slices, as their sinograms are: "
                "training.patch_pixels must be none and training.flip false"
            )
        return self

    @property
    def named_code(self) -> tuple[str, ...]:
        return self._code_of(self.model.for_training())


class LearningRateJob(FitJob):
    """Choose the learning rate of one method by short trainings.

    Of :class:`FitJob` it is the training from which each trial differs in length and learning rate.
    """

    @property
    def trials(self) -> RateTrialsSettings:
        """What is tried; ValueError without trials, which no valid job has."""
        if self.training.learning_rate_trials is None:
            raise ValueError("training.learning_rate_trials: there is nothing to try")
        return self.training.learning_rate_trials

    @model_validator(mode="after")
    def _tries(self) -> Self:
        _ = self.trials
        return self


class InferenceJob(LearningJob):
    """What jobs that apply trained methods have in common.

    ``trained_as`` names the method whose training is applied, if it is another one.
    """

    inference: InferenceSettings
    trained_as: str | None = None

    @property
    def noise_names(self) -> tuple[str, ...]:
        """What seeds the noise of samples, with the slice: one training draws the same for all."""
        return (self.dataset, self.setting, self.trained_as or self.method, self.replicate)

    @property
    def half(self) -> bool:
        """Whether it runs in bfloat16: networks if asked for, filters and reconstructions never."""
        wanted = self.inference.precision == "bf16-mixed"
        return wanted and self.model.trained and not self.model.reconstructs


class RestoreJob(InferenceJob):
    """Restore the test slices with one trained replicate.

    ``weights_of`` names the data set that the weights were validated on, if it is another one.
    """

    learning: str
    weights_of: str | None = None


class PlanJob(InferenceJob):
    """Measure quality against sampling steps of one diffusion method on the validation slices."""

    planner: PlannerSettings
    paper_window_pixels: int

    @property
    def diffusion(self) -> DiffusionSettings:
        """``model``; ValueError where it is no diffusion method, which no valid job has."""
        if not isinstance(self.model, DiffusionSettings):
            raise ValueError(f"{self.model.kind!r} is no diffusion method: it has no sampling steps")
        return self.model

    @model_validator(mode="after")
    def _diffuses(self) -> Self:
        _ = self.diffusion
        return self

    @property
    def named_code(self) -> tuple[str, ...]:
        return self._code_of(self.model, *self.planner.candidates(self.diffusion))


class SamplingJob(Job):
    """Show quality against sampling steps of all diffusion methods."""
