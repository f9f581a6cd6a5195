"""Jobs that pack a split's slices into one data set."""

from __future__ import annotations

from quietpet.config.invivo import SlicePlaneSettings
from quietpet.config.scanner import ScannerModel
from quietpet.jobs.job import Job


class PackJob(Job):
    """Join the standard- and low-dose images of a split's subjects into one data set."""

    dataset: str
    setting: str
    split: str
    subjects: tuple[str, ...]
    scanner_model: ScannerModel
    pixels: int


class PackScansJob(Job):
    """Cut the slices of a split's registered scans into one data set."""

    study_seed: int
    dataset: str
    setting: str
    split: str
    source: str
    participants: tuple[str, ...]
    window: str
    slices: SlicePlaneSettings
    pixels: int
