"""Jobs that measure slices again and again, and what methods make of their noise."""

from __future__ import annotations

from quietpet.jobs.acquisition import SimulateJob, ThinJob
from quietpet.jobs.realisations import RealiseJob, RecoveryJob, RecoveryTableJob
from quietpet.study.realisations import REALISATIONS, realisation_settings, realised_subjects
from quietpet.study.root import Study
from quietpet.study.select_simulation import reconstruct_job, simulate_job, thin_job


def realise_job(study: Study, *, dataset: str, setting: str) -> RealiseJob:
    """All realisations at one low dose, and those at the standard dose beside them."""
    view, settings = study.simulated[dataset].study, realisation_settings(study)
    subjects = realised_subjects(study, dataset)

    def scan(subject: str, dose: str) -> SimulateJob | ThinJob:
        chosen = thin_job if dose in view.doses.thinned else simulate_job
        return chosen(study, dataset=dataset, subject=subject, dose=dose)

    first, *_ = subjects
    standard, low = (
        reconstruct_job(study, dataset=dataset, subject=first, dose=dose).protocol
        for dose in ("standard", setting)
    )
    return RealiseJob(
        study_seed=view.study_seed,
        dataset=dataset,
        setting=setting,
        count=settings.count,
        lesion_sets=settings.lesion_sets,
        white_matter=view.phantoms.activity.white_matter,
        standard=tuple(
            simulate_job(study, dataset=dataset, subject=each, dose="standard") for each in subjects
        ),
        low=tuple(scan(each, setting) for each in subjects),
        standard_protocol=standard,
        low_protocol=low,
        scanner=view.scanner,
        pixels=view.datasets.pixels,
    )


def recovery_job(
    study: Study, *, regime: str = "", purpose: str = REALISATIONS, **names: str
) -> RecoveryJob:
    """What one restoration of realisations is worth, whose ``purpose`` that is."""
    if purpose != REALISATIONS:
        raise ValueError(f"recovery is measured of {REALISATIONS}, not of {purpose!r}")
    learning = study.data_sets[names["dataset"]].learning_word(names["method"], regime)
    return RecoveryJob(**names, learning=learning)


def recovery_table_job(study: Study) -> RecoveryTableJob:
    """What the table must know of the methods."""
    return RecoveryTableJob(methods=tuple(study.methods), low_dose=study.low_dose_images)
