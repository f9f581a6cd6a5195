"""Jobs that write simulated in-vivo data sets."""

from __future__ import annotations

from quietpet.config.phantoms import TemplateSettings, TissueValues
from quietpet.config.scanner import ScannerSettings
from quietpet.config.section import Label, Positive, Section, SubjectId
from quietpet.config.standin import StandinCohortSettings, StandinParticipant, StandinScanSettings
from quietpet.study.root import Study


class StandinJob(Section):
    """Scan one participant of a simulated in-vivo data set.

    ``participants`` holds this one, and all of them where side-cars are exchanged.
    """

    study_seed: int
    cohort: Label
    participant: SubjectId
    layout: str
    defects: bool
    infusion_minutes: Positive
    participants: dict[SubjectId, StandinParticipant]
    scan: StandinScanSettings
    scanner: ScannerSettings
    mu_per_cm: TissueValues
    t1: TissueValues
    template: TemplateSettings

    @classmethod
    def of(cls, study: Study, *, cohort: str, participant: str) -> StandinJob:
        settings = study.standin.cohorts[cohort]
        needed = settings.participants if settings.defects else (participant,)
        return cls(
            study_seed=study.study_seed,
            cohort=cohort,
            participant=participant,
            layout=settings.layout,
            defects=settings.defects,
            infusion_minutes=settings.infusion_minutes,
            participants={name: settings.participants[name] for name in needed},
            scan=study.standin.scan,
            # The stand-in is always projected by the embedded engine: thousands of slices.
            scanner=study.scanner.model_copy(update={"projector": "embedded"}),
            mu_per_cm=study.phantoms.mu_per_cm,
            t1=study.phantoms.t1,
            template=study.phantoms.template,
        )


class StandinCohortJob(Section):
    """Write the top-level files of a simulated in-vivo data set."""

    cohort: Label
    settings: StandinCohortSettings
    scan: StandinScanSettings

    @classmethod
    def of(cls, study: Study, *, cohort: str) -> StandinCohortJob:
        standin = study.standin
        return cls(cohort=cohort, settings=standin.cohorts[cohort], scan=standin.scan)
