"""Jobs that train a method, apply it and plan its sampling."""

from __future__ import annotations

from typing import Self

from pydantic import model_validator

from quietpet.config.doses import ReconstructionSettings
from quietpet.config.networks import InferenceSettings, TrainingSettings
from quietpet.config.section import Section
from quietpet.jobs.acquisition import AcquisitionJob, protocol_of
from quietpet.learning import Training, training_before, training_data
from quietpet.methods.diffusion.options import DiffusionSettings
from quietpet.methods.diffusion.planner import PlannerSettings
from quietpet.methods.registry import AnyMethodSettings
from quietpet.study.root import Study

PLANNED_REPLICATE = "r0"
"""The training whose sampling is planned; what is chosen holds for all."""


class MethodJob(Section):
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
            raise ValueError("acquisition is given for methods that reconstruct, and for no other")
        return self


class FitJob(LearningJob):
    """Train one replicate of one method, or one stage of its learning.

    ``dataset`` and ``setting`` name the validation slices and, unless ``trained_on`` names others, the
    training data. ``stages`` are those of :class:`quietpet.learning.Training`; where it ``continues``,
    others went before.
    """

    stages: tuple[str, ...] = ()
    trained_on: tuple[tuple[str, str], ...] = ()
    continues: bool = False
    training: TrainingSettings

    @classmethod
    def of(
        cls, study: Study, *, dataset: str, setting: str, method: str, replicate: str, stages: str = ""
    ) -> FitJob:
        training = Training(
            dataset=dataset, setting=setting, stages=tuple(stages.split("-")) if stages else ()
        )
        return cls(
            dataset=dataset,
            setting=setting,
            method=method,
            replicate=replicate,
            stages=training.stages,
            trained_on=training_data(study.learning, training) if training.stages else (),
            continues=training_before(study.learning, training) is not None,
            study_seed=study.study_seed,
            model=study.methods[method].for_training(),
            acquisition=_acquisition(study, dataset=dataset, method=method, setting=setting),
            training=_training(study, training, method),
        )


class InferenceJob(LearningJob):
    """What jobs that apply trained methods have in common."""

    inference: InferenceSettings

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

    @classmethod
    def of(
        cls, study: Study, *, dataset: str, setting: str, method: str, replicate: str, regime: str = ""
    ) -> RestoreJob:
        weights = study.weights_for(dataset=dataset, setting=setting, regime=regime)
        return cls(
            dataset=dataset,
            setting=setting,
            method=method,
            learning=study.learning_word(dataset, method, regime),
            weights_of=None if weights.dataset == dataset else weights.dataset,
            replicate=replicate,
            study_seed=study.study_seed,
            model=study.methods[method],
            acquisition=_acquisition(study, dataset=dataset, method=method, setting=setting),
            inference=study.inference,
        )


class PlanJob(InferenceJob):
    """Measure quality against sampling steps of one diffusion method on the validation slices."""

    planner: PlannerSettings
    paper_window_pixels: int

    @classmethod
    def of(cls, study: Study, *, dataset: str, setting: str, method: str) -> PlanJob:
        return cls(
            dataset=dataset,
            setting=setting,
            method=method,
            replicate=PLANNED_REPLICATE,
            study_seed=study.study_seed,
            model=study.methods[method],
            inference=study.inference,
            planner=study.planner,
            paper_window_pixels=study.evaluation.paper_window_pixels,
        )

    @model_validator(mode="after")
    def _diffuses(self) -> Self:
        if not isinstance(self.model, DiffusionSettings):
            raise ValueError(f"{self.model.kind!r} is no diffusion method: it has no sampling steps")
        return self


class SamplingJob(Section):
    """Show quality against sampling steps of all diffusion methods."""

    @classmethod
    def of(cls, study: Study) -> SamplingJob:
        return cls()


def _training(study: Study, training: Training, method: str) -> TrainingSettings:
    settings = study.training_of(training)
    if study.methods[method].learns_from_whole_heads:
        return settings
    return settings.model_copy(update={"whole_share": 0.0})


def _acquisition(study: Study, *, dataset: str, method: str, setting: str) -> AcquisitionJob | None:
    if not study.methods[method].reconstructs:
        return None
    study = study.of_dataset(dataset)
    protocol = protocol_of(ReconstructionSettings, study.doses.level(setting))
    return AcquisitionJob(scanner=study.scanner, protocol=protocol)
