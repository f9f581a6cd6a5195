"""Jobs that simulate scans, import and register them, and pack their slices."""

from __future__ import annotations

from quietpet.config.invivo import scan_name
from quietpet.jobs.datasets import PackScansJob
from quietpet.jobs.invivo import FetchInvivoJob, ImportPairJob, ImportScanJob, RegisterJob
from quietpet.jobs.standin import StandinCohortJob, StandinJob
from quietpet.study.root import Study


def standin_job(study: Study, *, cohort: str, participant: str) -> StandinJob:
    """One simulated scan."""
    settings = study.simulated_scans.cohorts[cohort]
    needed = settings.participants if settings.defects else (participant,)
    return StandinJob(
        study_seed=study.study_seed,
        cohort=cohort,
        participant=participant,
        layout=settings.layout,
        defects=settings.defects,
        infusion_minutes=settings.infusion_minutes,
        participants={name: settings.participants[name] for name in needed},
        scan=study.simulated_scans.scan,
        # The stand-in is always projected by the embedded engine: thousands of slices.
        scanner=study.scanner.model_copy(update={"projector": "embedded"}),
        mu_per_cm=study.phantoms.mu_per_cm,
        t1=study.phantoms.t1,
        template=study.phantoms.template,
    )


def standin_cohort_job(study: Study, *, cohort: str) -> StandinCohortJob:
    """The top of a simulated data set of scans."""
    standin = study.simulated_scans
    return StandinCohortJob(cohort=cohort, settings=standin.cohorts[cohort], scan=standin.scan)


def fetch_invivo_job(study: Study, *, source: str, participant: str) -> FetchInvivoJob:
    """Where the files of one scan are."""
    settings = study.in_vivo.sources[source]
    return FetchInvivoJob(
        name=source,
        source=settings,
        participant=participant,
        root=settings.root or f"resources/{settings.accession or settings.cohort}",
    )


def import_scan_job(study: Study, *, source: str, participant: str) -> ImportScanJob:
    """The windows of one scan, all that any data set uses."""
    return ImportScanJob(
        source=source,
        participant=participant,
        windows=study.in_vivo.windows_of(source),
        rounding=study.in_vivo.rounding,
        requirements=study.in_vivo.requirements(source, participant),
    )


def import_pair_job(study: Study, *, source: str, participant: str) -> ImportPairJob:
    """The doses of one participant of a folder of pairs, all that any data set uses."""
    return ImportPairJob(
        source=source,
        participant=participant,
        doses=study.in_vivo.low_of(source),
        t1_presence=study.in_vivo.sources[source].t1_presence,
        requirements=study.in_vivo.requirements(source, participant),
        registration=study.registration,
    )


def register_job(study: Study, *, source: str, participant: str) -> RegisterJob:
    """PET to T1 of one scan."""
    return RegisterJob(
        scan=scan_name(source, participant),
        own_grids=study.in_vivo.sources[source].has_pairs,
        registration=study.registration,
    )


def pack_scans_job(study: Study, *, dataset: str, setting: str, split: str) -> PackScansJob:
    """One split of a data set of scans."""
    cohort = study.in_vivo.datasets[dataset]
    return PackScansJob(
        study_seed=study.study_seed,
        dataset=dataset,
        setting=setting,
        split=split,
        source=cohort.source,
        participants=getattr(cohort.splits_of(setting), split),
        window=cohort.settings[setting].low,
        slices=study.in_vivo.slices,
        pixels=study.datasets.pixels,
    )
