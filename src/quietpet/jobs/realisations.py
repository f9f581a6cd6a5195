"""Jobs that measure slices again and again, and what methods make of their noise."""

from __future__ import annotations

from typing import Self

from pydantic import Field, model_validator

from quietpet.config.doses import ReconstructionSettings
from quietpet.config.realisations import LesionSetSettings
from quietpet.config.scanner import ScannerSettings
from quietpet.config.section import Label, Positive
from quietpet.jobs.acquisition import SimulateJob, ThinJob
from quietpet.jobs.job import Job
from quietpet.jobs.methods import MethodJob
from quietpet.projection.engines import code_of, osem_code_of


class RealiseJob(Job):
    """Measure slices of test subjects again and again, with and without lesions, and pack their images.

    ``standard`` and ``low`` are the measurements of one subject after the other at the two doses,
    ``standard_protocol`` and ``low_protocol`` how both are reconstructed. ``count`` are the realisations
    of each slice and lesion set; ``white_matter`` is the activity that contrasts of lesions refer to.
    """

    study_seed: int
    dataset: str
    setting: str
    count: int
    lesion_sets: dict[Label, LesionSetSettings]
    white_matter: Positive
    standard: tuple[SimulateJob, ...] = Field(min_length=1)
    low: tuple[SimulateJob | ThinJob, ...] = Field(min_length=1)
    standard_protocol: ReconstructionSettings
    low_protocol: ReconstructionSettings
    scanner: ScannerSettings
    pixels: int

    @model_validator(mode="after")
    def _same_subjects(self) -> Self:
        if self.subjects != (low := tuple(each.subject for each in self.low)):
            raise ValueError(f"standard doses of {self.subjects}, but low ones of {low}")
        return self

    @property
    def subjects(self) -> tuple[str, ...]:
        """Whose slices are measured, in the order of the files."""
        return tuple(each.subject for each in self.standard)

    @property
    def named_code(self) -> tuple[str, ...]:
        engine = self.scanner.projector
        return (*code_of(engine), *osem_code_of(engine))


class RecoveryJob(MethodJob):
    """Measure contrast recovery, bias and variance of the noise realisations that a method restored."""

    learning: str


class RecoveryTableJob(Job):
    """Show contrast recovery, bias and variance of all methods, and of the doses themselves.

    ``methods`` are in the order of the tables; ``low_dose`` those of them that are the low-dose image
    itself.
    """

    methods: tuple[str, ...]
    low_dose: tuple[str, ...]
