"""Jobs that pack a split's slices into one data set."""

from __future__ import annotations

from quietpet.config.scanner import ScannerModel
from quietpet.config.section import Section
from quietpet.invivo.settings import SlicePlaneSettings
from quietpet.study.root import Study


class PackJob(Section):
    """Join the standard- and low-dose images of a split's subjects into one data set."""

    dataset: str
    setting: str
    split: str
    subjects: tuple[str, ...]
    scanner_model: ScannerModel
    pixels: int

    @classmethod
    def of(cls, study: Study, *, dataset: str, setting: str, split: str) -> PackJob:
        study = study.of_dataset(dataset)
        return cls(
            dataset=dataset,
            setting=setting,
            split=split,
            subjects=getattr(study.splits, split),
            scanner_model=study.scanner.model,
            pixels=study.datasets.pixels,
        )


class PackScansJob(Section):
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

    @classmethod
    def of(cls, study: Study, *, dataset: str, setting: str, split: str) -> PackScansJob:
        cohort = study.invivo.datasets[dataset]
        return cls(
            study_seed=study.study_seed,
            dataset=dataset,
            setting=setting,
            split=split,
            source=cohort.source,
            participants=getattr(cohort.splits_of(setting), split),
            window=cohort.settings[setting].window,
            slices=study.invivo.slices,
            pixels=study.datasets.pixels,
        )
