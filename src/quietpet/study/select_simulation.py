"""Jobs from a phantom to the packed slices of a simulated data set."""

from __future__ import annotations

import os
from typing import TypeVar

from quietpet.config.domains import PHANTOM
from quietpet.config.doses import DoseSettings, ReconstructionSettings
from quietpet.jobs.acquisition import AcquisitionJob, ReconstructJob, SimulateJob, ThinJob
from quietpet.jobs.datasets import PackJob
from quietpet.jobs.phantoms import FetchJob, PhantomJob, SlicesJob
from quietpet.study.contents import StudyContents
from quietpet.study.folders import CACHE_VARIABLE, DEFAULT_CACHE
from quietpet.study.realisations import REALISATIONS, realised_view
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


def phantom_job(study: Study, *, dataset: str = PHANTOM, subject: str, purpose: str = "") -> PhantomJob:
    """One subject's maps; for the ``purpose`` of noise realisations without its lesions."""
    view = _for_purpose(study, dataset, purpose)
    phantoms = view.phantoms
    return PhantomJob(
        study_seed=view.study_seed,
        subject=subject,
        scanner_model=view.scanner.model,
        image_pixels=view.scanner.image_pixels,
        data_refinement=view.scanner.data_refinement,
        activity=phantoms.activity,
        mu_per_cm=phantoms.mu_per_cm,
        t1=phantoms.t1,
        lesions=phantoms.lesions,
        template=phantoms.template,
        regions=phantoms.regions,
    )


def slices_job(study: Study, *, dataset: str = PHANTOM, subject: str, purpose: str = "") -> SlicesJob:
    """One subject's slices; for the ``purpose`` of noise realisations those that are measured again."""
    view = _for_purpose(study, dataset, purpose)
    return SlicesJob(study_seed=view.study_seed, subject=subject, slices=view.slices)


def _for_purpose(study: Study, dataset: str, purpose: str) -> StudyContents:
    """The study as if the data set were its only one, with the phantoms and slices of the purpose."""
    view = study.simulated[dataset].study
    return realised_view(study, dataset) if purpose == REALISATIONS else view


def simulate_job(study: Study, *, dataset: str = PHANTOM, subject: str, dose: str) -> SimulateJob:
    """One subject's scan at a dose that is measured."""
    view = study.simulated[dataset].study
    calibrated = view.acquisition.calibration is not None
    return SimulateJob(
        study_seed=view.study_seed,
        subject=subject,
        dose=dose,
        protocol=_part(DoseSettings, view.doses.level(dose)),
        scanner=view.scanner,
        acquisition=view.acquisition,
        standard_scan=view.doses.standard.scan,
        grey_matter=view.phantoms.activity.grey_matter if calibrated else None,
    )


def thin_job(study: Study, *, dataset: str = PHANTOM, subject: str, dose: str) -> ThinJob:
    """One subject's part of the standard dose."""
    view = study.simulated[dataset].study
    return ThinJob(
        study_seed=view.study_seed,
        subject=subject,
        dose=dose,
        thinned=view.doses.low[dose].thinned,
        randoms_window=view.acquisition.randoms_window,
    )


def reconstruct_job(study: Study, *, dataset: str = PHANTOM, subject: str, dose: str) -> ReconstructJob:
    """One subject's images at one dose."""
    view = study.simulated[dataset].study
    protocol = _part(ReconstructionSettings, view.doses.level(dose))
    return ReconstructJob(subject=subject, dose=dose, protocol=protocol, scanner=view.scanner)


def pack_job(study: Study, *, dataset: str, setting: str, split: str) -> PackJob:
    """One split of a simulated data set."""
    view = study.simulated[dataset].study
    return PackJob(
        dataset=dataset,
        setting=setting,
        split=split,
        subjects=getattr(view.splits, split),
        scanner_model=view.scanner.model,
        pixels=view.datasets.pixels,
    )


def acquisition_of(study: Study, *, dataset: str, setting: str) -> AcquisitionJob:
    """How the low-dose sinograms of a simulated data set were measured."""
    view = study.simulated[dataset].study
    protocol = _part(ReconstructionSettings, view.doses.level(setting))
    return AcquisitionJob(scanner=view.scanner, protocol=protocol)


def _part(kind: type[Kind], level: DoseSettings) -> Kind:
    """What ``kind`` holds of a dose level."""
    return kind.model_validate(level.model_dump(include=set(kind.model_fields)))
