"""Steps about many noise realisations of a scan: recovery of lesions, and whether they are seen."""

from __future__ import annotations

from quietpet.jobs.detection import DetectionJob, ObserveJob
from quietpet.jobs.realisations import RealiseJob, RecoveryJob, RecoveryTableJob
from quietpet.steps.shared_files import ENGINE_DECISION, PROVENANCE, SECTION
from quietpet.steps.step import NamedFile, Step

_TO_MEASURE = (
    NamedFile("restored", "HDF5 of `restore` of noise realisations"),
    NamedFile("test", "HDF5 of `realise`"),
)

REALISE = Step(
    name="realise",
    job=RealiseJob,
    inputs=(
        NamedFile("slices", "HDF5 of `slices` of each subject, without lesions", several=True),
        ENGINE_DECISION,
    ),
    outputs=(
        NamedFile("dataset", "HDF5: rows of standard dose, low dose and T1, one per realisation"),
        NamedFile(
            "sinograms",
            "HDF5 of each subject, same order: low-dose prompts, and what models them",
            optional=True,
            several=True,
        ),
    ),
)

RECOVERY = Step(
    name="recovery",
    job=RecoveryJob,
    inputs=_TO_MEASURE,
    outputs=(
        NamedFile("lesions", "CSV: contrast recovery and background variability of each lesion"),
        NamedFile("noise", "CSV: error of each slice and region, as bias and variance"),
        NamedFile("maps", "HDF5: bias and standard deviation of each pixel"),
        PROVENANCE,
    ),
)

RECOVERY_TABLE = Step(
    name="recovery_table",
    job=RecoveryTableJob,
    inputs=(
        NamedFile("lesions", "CSV of `recovery` of each method", several=True),
        NamedFile("noise", "CSV of `recovery`, same order", several=True),
        NamedFile("maps", "HDF5 of `recovery`, same order", several=True),
        NamedFile("test", "HDF5 of `realise` of each data set and dose", several=True),
    ),
    outputs=(
        NamedFile("recovery", "CSV: contrast recovery by size and contrast of the lesions"),
        NamedFile("noise", "CSV: error by region, as bias and variance"),
        NamedFile("recovery_png", "PNG: contrast recovery against background variability"),
        NamedFile("recovery_svg", "SVG: the same"),
        NamedFile("maps_png", "PNG: maps of bias and noise"),
        NamedFile("maps_svg", "SVG: the same"),
        SECTION,
        PROVENANCE,
    ),
)

OBSERVE = Step(
    name="observe",
    job=ObserveJob,
    inputs=_TO_MEASURE,
    outputs=(
        NamedFile("ratings", "CSV: ratings of model observers that know the lesions"),
        NamedFile("ratings_provenance", "JSON: how the ratings were made", optional=True),
    ),
)

DETECTION = Step(
    name="detection",
    job=DetectionJob,
    inputs=(
        NamedFile("ratings", "CSV of `observe` of each method", several=True),
        NamedFile("test", "HDF5 of `realise` of each data set and dose", several=True),
    ),
    outputs=(
        NamedFile("table", "CSV: areas under ROC curves by size and contrast of the lesions"),
        SECTION,
        NamedFile("png", "PNG: the areas of all methods"),
        NamedFile("svg", "SVG: the same"),
        PROVENANCE,
    ),
)
