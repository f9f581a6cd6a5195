"""Jobs that bring a scan from its BIDS data set to images registered to its T1."""

from __future__ import annotations

from typing import Literal

from quietpet.config.registration import EngineChoice, RegistrationSettings
from quietpet.config.section import Section
from quietpet.invivo.settings import CohortSetting, SourceSettings, WindowSettings
from quietpet.study.root import Study


class FetchInvivoJob(Section):
    """Have one participant's PET, T1 and side-cars on disk, and say where they are."""

    name: str
    source: SourceSettings
    participant: str
    root: str

    @classmethod
    def of(cls, study: Study, *, source: str, participant: str) -> FetchInvivoJob:
        settings = study.in_vivo.sources[source]
        return cls(
            name=source,
            source=settings,
            participant=participant,
            root=settings.root or f"resources/{settings.accession or settings.cohort}",
        )


class ImportScanJob(Section):
    """Average the windows of one scan's frames, and take its T1 along."""

    source: str
    participant: str
    windows: dict[str, WindowSettings]
    rounding: Literal["nearest", "down", "up"]
    requirements: dict[str, CohortSetting]

    @classmethod
    def of(cls, study: Study, *, source: str, participant: str) -> ImportScanJob:
        return cls(
            source=source,
            participant=participant,
            windows=study.in_vivo.windows_of(source),
            rounding=study.in_vivo.rounding,
            requirements=study.in_vivo.requirements(source, participant),
        )


class RegistrationEngineJob(Section):
    """Decide which engine registers the scans of a study whose ``registration.engine`` is auto."""

    engine: EngineChoice

    @classmethod
    def of(cls, study: Study) -> RegistrationEngineJob:
        return cls(engine=study.registration.engine)


class RegisterJob(Section):
    """Register the PET images of one scan to its T1, and resample them once."""

    scan: str
    registration: RegistrationSettings

    @classmethod
    def of(cls, study: Study, *, scan: str) -> RegisterJob:
        return cls(scan=scan, registration=study.registration)
