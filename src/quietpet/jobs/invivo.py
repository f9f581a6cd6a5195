"""Jobs that bring a scan from its BIDS data set to images registered to its T1."""

from __future__ import annotations

from typing import Literal

from quietpet.config.invivo import ScanRequirement, SourceSettings, WindowSettings
from quietpet.config.registration import EngineChoice, RegistrationSettings
from quietpet.config.section import Section


class FetchInvivoJob(Section):
    """Have one participant's PET, T1 and side-cars on disk, and say where they are."""

    name: str
    source: SourceSettings
    participant: str
    root: str


class ImportScanJob(Section):
    """Average the windows of one scan's frames, and take its T1 along."""

    source: str
    participant: str
    windows: dict[str, WindowSettings]
    rounding: Literal["nearest", "down", "up"]
    requirements: dict[str, ScanRequirement]


class RegistrationEngineJob(Section):
    """Decide which engine registers the scans of a study whose ``registration.engine`` is auto."""

    engine: EngineChoice


class RegisterJob(Section):
    """Register the PET images of one scan to its T1, and resample them once."""

    scan: str
    registration: RegistrationSettings
