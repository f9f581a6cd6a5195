"""Jobs that bring a scan from its BIDS data set to images registered to its T1."""

from __future__ import annotations

from typing import Literal

from quietpet.config.invivo import ScanRequirement, WindowSettings
from quietpet.config.registration import EngineChoice, RegistrationSettings
from quietpet.config.scan_sources import SourceSettings, T1Presence
from quietpet.jobs.job import Job


class FetchInvivoJob(Job):
    """Have one participant's PET, T1 and side-cars on disk, and say where they are."""

    name: str
    source: SourceSettings
    participant: str
    root: str


class ImportScanJob(Job):
    """Average the windows of one scan's frames, and take its T1 along."""

    source: str
    participant: str
    windows: dict[str, WindowSettings]
    rounding: Literal["nearest", "down", "up"]
    requirements: dict[str, ScanRequirement]


class ImportPairJob(Job):
    """Take standard and low doses of one participant of a folder of pairs, and its T1.

    ``registration`` has the limits for a low dose that is registered to the standard one.
    """

    source: str
    participant: str
    doses: tuple[str, ...]
    t1_presence: T1Presence
    requirements: dict[str, ScanRequirement]
    registration: RegistrationSettings


class RegistrationEngineJob(Job):
    """Decide which engine registers the scans of a study whose ``registration.engine`` is auto."""

    engine: EngineChoice


class RegisterJob(Job):
    """Register the PET images of one scan to its T1, and resample them once.

    With ``own_grids``, low doses may lie on other voxels than the standard one, in the same world.
    """

    scan: str
    own_grids: bool = False
    registration: RegistrationSettings
