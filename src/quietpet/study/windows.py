"""Windows of scans in minutes, before any scan is there."""

from __future__ import annotations

from quietpet.config.standin import StandinScanSettings
from quietpet.invivo.settings import WindowSettings
from quietpet.study.sections import StudySections
from quietpet.units import SECONDS_PER_MINUTE


def scan_of(study: StudySections) -> StandinScanSettings:
    """The dynamic scan of the stand-ins; without any, its defaults, which are the published ones."""
    return study.standin.scan if study.standin else StandinScanSettings()


def span_minutes(window: WindowSettings, study: StudySections) -> tuple[float, float]:
    """Start and end of a window; one of frames has frames as long as those of the stand-in."""
    frame_minutes = scan_of(study).frame_seconds / SECONDS_PER_MINUTE
    length = window.minutes or (window.frames or 0) * frame_minutes
    return window.start_minutes, window.start_minutes + length
