"""Jobs from a phantom to the packed slices of a simulated data set."""

from __future__ import annotations

import os
from typing import TypeVar

from quietpet.config.doses import DoseSettings, ReconstructionSettings
from quietpet.jobs.acquisition import AcquisitionJob, ReconstructJob, SimulateJob, ThinJob
from quietpet.jobs.datasets import PackJob
from quietpet.jobs.phantoms import FetchJob, PhantomJob, SlicesJob
from quietpet.study.folders import CACHE_VARIABLE, DEFAULT_CACHE
from quietpet.study.root import Study

Kind = TypeVar("Kind", bound=ReconstructionSettings)


def fetch_job(study: Study) -> FetchJob:
    """Where the phantoms come from; the variable goes before the configuration."""
    named = os.environ.get(CACHE_VARIABLE) or study.phantoms.cache_dir
    return FetchJob(
        source=study.phantoms.source,
        subjects=study.subjects,
        cache_dir=named or DEFAULT_CACHE,
        cache_is_named=bool(named),
    )


def phantom_job(study: Study, *, subject: str) -> PhantomJob:
    """One subject's maps."""
    phantoms = study.phantoms
    return PhantomJob(
        study_seed=study.study_seed,
        subject=subject,
        scanner_model=study.scanner.model,
        image_pixels=study.scanner.image_pixels,
        data_refinement=study.scanner.data_refinement,
        activity=phantoms.activity,
        mu_per_cm=phantoms.mu_per_cm,
        t1=phantoms.t1,
        lesions=phantoms.lesions,
        template=phantoms.template,
    )


def slices_job(study: Study, *, subject: str) -> SlicesJob:
    """One subject's slices."""
    return SlicesJob(study_seed=study.study_seed, subject=subject, slices=study.slices)


def simulate_job(study: Study, *, subject: str, dose: str) -> SimulateJob:
    """One subject's scan at a dose that is measured."""
    calibrated = study.acquisition.calibration is not None
    return SimulateJob(
        study_seed=study.study_seed,
        subject=subject,
        dose=dose,
        protocol=_part(DoseSettings, study.doses.level(dose)),
        scanner=study.scanner,
        acquisition=study.acquisition,
        standard_scan=study.doses.standard.scan,
        grey_matter=study.phantoms.activity.grey_matter if calibrated else None,
    )


def thin_job(study: Study, *, subject: str, dose: str) -> ThinJob:
    """One subject's part of the standard dose."""
    return ThinJob(
        study_seed=study.study_seed,
        subject=subject,
        dose=dose,
        thinned=study.doses.low[dose].thinned,
        randoms_window=study.acquisition.randoms_window,
    )


def reconstruct_job(study: Study, *, subject: str, dose: str) -> ReconstructJob:
    """One subject's images at one dose."""
    protocol = _part(ReconstructionSettings, study.doses.level(dose))
    return ReconstructJob(subject=subject, dose=dose, protocol=protocol, scanner=study.scanner)


def pack_job(study: Study, *, dataset: str, setting: str, split: str) -> PackJob:
    """One split of a simulated data set."""
    study = study.of_dataset(dataset)
    return PackJob(
        dataset=dataset,
        setting=setting,
        split=split,
        subjects=getattr(study.splits, split),
        scanner_model=study.scanner.model,
        pixels=study.datasets.pixels,
    )


def acquisition_of(study: Study, *, dataset: str, setting: str) -> AcquisitionJob:
    """How the low-dose sinograms of a simulated data set were measured."""
    study = study.of_dataset(dataset)
    protocol = _part(ReconstructionSettings, study.doses.level(setting))
    return AcquisitionJob(scanner=study.scanner, protocol=protocol)


def _part(kind: type[Kind], level: DoseSettings) -> Kind:
    """What ``kind`` holds of a dose level."""
    return kind.model_validate(level.model_dump(include=set(kind.model_fields)))
