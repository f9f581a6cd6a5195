"""Jobs that train a method, apply it and plan its sampling."""

from __future__ import annotations

from quietpet.config.methods import MethodSettings
from quietpet.config.networks import TrainingSettings
from quietpet.errors import InputError
from quietpet.jobs.acquisition import AcquisitionJob
from quietpet.jobs.methods import FitJob, LearningRateJob, PlanJob, RestoreJob
from quietpet.study.dose_amounts import learned_at
from quietpet.study.realisations import REALISATIONS, realisation_settings
from quietpet.study.root import Study
from quietpet.study.select_simulation import acquisition_of
from quietpet.study.trainings import Training, training_data

PLANNED_REPLICATE = "r0"
"""The training whose sampling is planned; what is chosen holds for all."""

TRIAL = "trial"
"""The training that chooses a learning rate, in place of a replicate: its draws are those of none."""


def fit_job(
    study: Study, *, dataset: str, setting: str, method: str, replicate: str, stages: str = ""
) -> FitJob:
    """One training; ``stages`` are those up to and with its own, as in paths."""
    training = Training.named(dataset=dataset, setting=setting, stages=stages)
    data = training_data(study.learning, training)
    learns_from_sinograms = study.methods[method].learns_from_sinograms
    return FitJob(
        dataset=dataset,
        setting=setting,
        method=method,
        replicate=replicate,
        stages=training.stages,
        trained_on=data if training.stages else (),
        train_acquisitions=tuple(
            _measured(study, dataset=part, method=method, setting=dose) for part, dose in data
        )
        if learns_from_sinograms
        else (),
        continues=study.training_before(training) is not None,
        study_seed=study.study_seed,
        model=_settings(study, method).for_training(),
        acquisition=acquisition_for(study, dataset=dataset, method=method, setting=setting),
        training=_optimisation(study, training, method),
    )


def learning_rate_job(study: Study, *, dataset: str, setting: str, method: str) -> LearningRateJob:
    """The trials of one method's learning rate."""
    training = fit_job(study, dataset=dataset, setting=setting, method=method, replicate=TRIAL)
    return LearningRateJob(**dict(training))


def restore_job(
    study: Study,
    *,
    dataset: str,
    setting: str,
    method: str,
    replicate: str,
    regime: str = "",
    trained_on: str = "",
    purpose: str = "",
) -> RestoreJob:
    """One restoration, with the weights of the regime; ``trained_on``: those of another dose.

    To restore noise realisations is a ``purpose`` of its own.
    """
    acquisition = acquisition_for(study, dataset=dataset, method=method, setting=setting)
    weights = study.weights_for(dataset=dataset, setting=trained_on or setting, regime=regime)
    return RestoreJob(
        dataset=dataset,
        setting=setting,
        method=method,
        learning=learned_at(study.data_sets[dataset].learning_word(method, regime), trained_on),
        weights_of=None if weights.dataset == dataset else weights.dataset,
        replicate=replicate,
        study_seed=study.study_seed,
        model=_sampling(study, method) if purpose == REALISATIONS else _settings(study, method),
        acquisition=acquisition,
        inference=study.inference,
        trained_as=_other_training(study, method),
    )


def plan_job(study: Study, *, dataset: str, setting: str, method: str) -> PlanJob:
    """The sampling of one diffusion method."""
    return PlanJob(
        dataset=dataset,
        setting=setting,
        method=method,
        replicate=PLANNED_REPLICATE,
        study_seed=study.study_seed,
        model=_settings(study, method),
        inference=study.inference,
        trained_as=_other_training(study, method),
        planner=study.planner,
        paper_window_pixels=study.evaluation.paper_window_pixels,
    )


def _settings(study: Study, method: str) -> MethodSettings:
    """Those of a method without what the tables alone need, which would train it again."""
    return study.methods[method].model_copy(update={"pet_only_of": None})


def _sampling(study: Study, method: str) -> MethodSettings:
    """Those of a method with as many samples as realisations ask for."""
    settings, asked = _settings(study, method), realisation_settings(study).samples_per_slice
    if asked is None or "samples_per_slice" not in type(settings).model_fields:
        return settings
    return settings.model_copy(update={"samples_per_slice": asked})


def _other_training(study: Study, method: str) -> str | None:
    """The method whose training ``method`` restores with; None: its own."""
    trained = study.trained_as(method)
    return None if trained == method else trained


def _optimisation(study: Study, training: Training, method: str) -> TrainingSettings:
    settings = study.training_of(training, method)
    if not study.chooses_rate(method):
        settings = settings.model_copy(update={"learning_rate_trials": None})
    if study.methods[method].learns_from_sinograms:
        return settings.model_copy(update={"patch_pixels": None, "whole_share": 0.0, "flip": False})
    if study.methods[method].learns_from_whole_heads:
        return settings
    return settings.model_copy(update={"whole_share": 0.0})


def acquisition_for(study: Study, *, dataset: str, method: str, setting: str) -> AcquisitionJob | None:
    """How the sinograms were measured that a method reconstructs; None for one that takes images.

    Raises:
        InputError: it reconstructs, and the data set is of scans.
    """
    if not study.methods[method].reconstructs:
        return None
    return _measured(study, dataset=dataset, method=method, setting=setting)


def _measured(study: Study, *, dataset: str, method: str, setting: str) -> AcquisitionJob:
    if dataset in study.scanned:
        raise InputError(
            f"methods.{method} reconstructs sinograms, and {dataset}/{setting} has none: of scans, "
            "simulated ones among them, a study has the images alone. Restore them with another method."
        )
    return acquisition_of(study, dataset=dataset, setting=setting)
