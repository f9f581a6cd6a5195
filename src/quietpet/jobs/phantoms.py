"""Jobs from a phantom's label volume to the slices of its maps."""

from __future__ import annotations

from quietpet.config.datasets import SliceSettings
from quietpet.config.phantoms import LesionSettings, PhantomSource, TemplateSettings, TissueValues
from quietpet.config.regions import RegionSettings
from quietpet.config.scanner import ScannerModel
from quietpet.jobs.job import Job


class FetchJob(Job):
    """Decide where the phantoms come from, and have their label volumes ready."""

    source: PhantomSource
    subjects: tuple[str, ...]
    cache_dir: str
    cache_is_named: bool


class PhantomJob(Job):
    """Turn one subject's labels into activity, attenuation, T1 and lesions on the scanner grid."""

    study_seed: int
    subject: str
    scanner_model: ScannerModel
    image_pixels: int
    data_refinement: int = 1
    activity: TissueValues
    mu_per_cm: TissueValues
    t1: TissueValues
    lesions: LesionSettings
    template: TemplateSettings
    regions: RegionSettings | None = None


class SlicesJob(Job):
    """Cut and rotate the transaxial slices of one phantom."""

    study_seed: int
    subject: str
    slices: SliceSettings
