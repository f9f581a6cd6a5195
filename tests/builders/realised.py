"""Slices of a round head without lesions, and jobs that measure them again and again."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from quietpet.config.doses import DoseSettings, LowDoseSettings, ReconstructionSettings
from quietpet.config.realisations import LesionSetSettings
from quietpet.config.scanner import ScannerSettings
from quietpet.config.section import Section
from quietpet.files.phantoms import PhantomSlices
from quietpet.jobs.acquisition import SimulateJob, ThinJob
from quietpet.jobs.realisations import RealiseJob
from quietpet.phantom.tissues import Tissue
from quietpet.recon.system import image_grid

SCANNER = ScannerSettings(model="small_test", projector="embedded", image_pixels=64, gaps=False)
GRID = image_grid(SCANNER)
HEAD_MM, WHITE_MM = 0.40 * 64 * GRID.pixel_mm, 0.30 * 64 * GRID.pixel_mm
WHITE, GREY = 32.0, 96.0
LEVEL = {"iterations": 2, "subsets": 4}
STANDARD = {"counts": 4e6, "counts_per": "slice", "psf_fwhm_mm": 2.5, **LEVEL}
LOW = {"counts": 4e5, "counts_per": "slice", "psf_fwhm_mm": 4.0, **LEVEL}
SETS = {"present": LesionSetSettings(radii_mm=(2.5 * GRID.pixel_mm,), contrasts=(1.0, -0.5))}


def slices(subject: str = "04", *indices: int) -> PhantomSlices:
    """A disc of white matter in a ring of grey, one row for each of ``indices``."""
    indices = indices or (3,)
    white, head = GRID.within_radius(WHITE_MM), GRID.within_radius(HEAD_MM)
    labels = np.where(white, Tissue.WHITE_MATTER, np.where(head, Tissue.GREY_MATTER, Tissue.AIR))

    def rows(plane: np.ndarray, kind: type = np.float32) -> np.ndarray:
        return np.repeat(plane[None].astype(kind), len(indices), axis=0)

    return PhantomSlices(
        subject=subject,
        affine_ras_mm=GRID.affine_ras_mm,
        units={},
        lineage={"data_source": "template"},
        key=[f"{subject}/z{index:03d}/r0" for index in indices],
        slice_index=np.array(indices),
        slice_mm=np.array(indices, float),
        angle_deg=np.zeros(len(indices)),
        rotation=np.zeros(len(indices), int),
        activity=rows(np.where(white, WHITE, np.where(head, GREY, 0))),
        mu_per_cm=rows(np.where(head, 0.0975, 0)),
        t1=rows(np.where(white, 154, np.where(head, 106, 0))),
        labels=rows(labels, np.uint8),
        head=rows(head, np.uint8),
        pet_lesions=rows(np.zeros_like(head), np.uint8),
        t1_lesions=rows(np.zeros_like(head), np.uint8),
    )


def with_fine_maps(of: PhantomSlices) -> PhantomSlices:
    """The same with activity and attenuation on pixels of half the size."""
    fine = GRID.refined(2)
    white, head = fine.within_radius(WHITE_MM), fine.within_radius(HEAD_MM)
    activity = np.where(white, WHITE, np.where(head, GREY, 0)).astype(np.float32)
    return replace(
        of,
        fine_activity=activity[None].repeat(len(of.key), 0),
        fine_mu_per_cm=np.where(head, 0.0975, 0).astype(np.float32)[None].repeat(len(of.key), 0),
    )


def job(
    *subjects: str, low: dict[str, Any] | None = None, scanner: ScannerSettings = SCANNER, **changed: Any
) -> RealiseJob:
    """Of ``subjects``, by default 04; ``low`` is a level as in ``doses.low``."""
    low_level = LowDoseSettings.model_validate(low or LOW)

    def scan(subject: str, dose: str, level: DoseSettings) -> SimulateJob:
        return SimulateJob(
            study_seed=1, subject=subject, dose=dose, scanner=scanner,
            protocol=DoseSettings.model_validate(part(level, DoseSettings)),
        )  # fmt: skip

    def low_scan(subject: str) -> SimulateJob | ThinJob:
        if low_level.thinned is None:
            return scan(subject, "low", low_level)
        return ThinJob(
            study_seed=1, subject=subject, dose="low", thinned=low_level.thinned, randoms_window=31
        )

    def part(level: DoseSettings, kind: type[Section]) -> dict[str, Any]:
        return level.model_dump(include=set(kind.model_fields))

    standard = DoseSettings.model_validate(STANDARD)
    known = {
        "study_seed": 1, "dataset": "phantom", "setting": "low", "count": 3, "lesion_sets": SETS,
        "white_matter": WHITE, "scanner": scanner, "pixels": 64,
        "standard": [scan(each, "standard", standard) for each in subjects or ("04",)],
        "low": [low_scan(each) for each in subjects or ("04",)],
        "standard_protocol": part(standard, ReconstructionSettings),
        "low_protocol": part(low_level, ReconstructionSettings),
    }  # fmt: skip
    return RealiseJob(**{**known, **changed})
