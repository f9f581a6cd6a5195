"""Jobs from a phantom's label volume to the slices of its maps."""

from __future__ import annotations

import os
from pathlib import Path

from quietpet.config.datasets import SliceSettings
from quietpet.config.phantoms import LesionSettings, PhantomSource, TemplateSettings, TissueValues
from quietpet.config.scanner import ScannerModel
from quietpet.config.section import Section
from quietpet.study.root import Study

CACHE_VARIABLE = "QUIETPET_BRAINWEB"
DEFAULT_CACHE = "resources/brainweb"


class FetchJob(Section):
    """Decide where the phantoms come from, and have their label volumes ready."""

    source: PhantomSource
    subjects: tuple[str, ...]
    cache_dir: str
    cache_is_named: bool

    @classmethod
    def of(cls, study: Study) -> FetchJob:
        named = os.environ.get(CACHE_VARIABLE) or study.phantoms.cache_dir
        return cls(
            source=study.phantoms.source,
            subjects=study.subjects,
            cache_dir=named or DEFAULT_CACHE,
            cache_is_named=bool(named),
        )


def absolute_cache(named: str) -> str:
    """A folder in the variable, relative to where the command is given.

    That is PWD: Snakemake's --directory changes the working folder only.
    """
    return os.path.normpath(Path(os.environ.get("PWD", ".")).absolute() / Path(named).expanduser())


class PhantomJob(Section):
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

    @classmethod
    def of(cls, study: Study, *, subject: str) -> PhantomJob:
        phantoms = study.phantoms
        return cls(
            study_seed=study.study_seed,
            subject=subject,
            scanner_model=study.scanner.model,
            image_pixels=study.scanner.image_pixels,
            data_refinement=study.scanner.data_refinement,
            activity=phantoms.activity,
            mu_per_cm=phantoms.mu_per_cm,
            t1=phantoms.t1,
            lesions=phantoms.lesions,
            template=phantoms.template,
        )


class SlicesJob(Section):
    """Cut and rotate the transaxial slices of one phantom."""

    study_seed: int
    subject: str
    slices: SliceSettings

    @classmethod
    def of(cls, study: Study, *, subject: str) -> SlicesJob:
        return cls(study_seed=study.study_seed, subject=subject, slices=study.slices)
