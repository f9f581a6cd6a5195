"""Jobs that write simulated in-vivo data sets."""

from __future__ import annotations

from quietpet.config.phantoms import TemplateSettings, TissueValues
from quietpet.config.scanner import ScannerSettings
from quietpet.config.section import Label, Positive, SubjectId
from quietpet.config.standin import StandinCohortSettings, StandinParticipant, StandinScanSettings
from quietpet.jobs.job import Job


class StandinJob(Job):
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


class StandinCohortJob(Job):
    """Write the top-level files of a simulated in-vivo data set."""

    cohort: Label
    settings: StandinCohortSettings
    scan: StandinScanSettings
