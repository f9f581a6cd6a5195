"""Steps that measure what was restored."""

from __future__ import annotations

from quietpet.jobs.dose_response import DoseResponseJob
from quietpet.jobs.evaluation import CohortsJob, ScoreJob, TruthJob
from quietpet.jobs.subjects import SubjectsJob
from quietpet.jobs.uncertainty import UncertaintyJob
from quietpet.steps.shared_files import PROVENANCE, SECTION, SVG
from quietpet.steps.step import NamedFile, Step

SCORE = Step(
    name="score",
    job=ScoreJob,
    inputs=(
        NamedFile("restored", "HDF5 of `restore`"),
        NamedFile("test", "HDF5 of `pack` or `pack_scans`"),
    ),
    outputs=(
        NamedFile("scores", "CSV: metrics of each slice and volume"),
        NamedFile(
            "regions",
            "CSV: mean activity of each brain region and subject, of data sets that number regions",
            optional=True,
        ),
        NamedFile(
            "subjects",
            "CSV: leakage from T1, lost lesions and brain outliers of each subject",
            optional=True,
        ),
        PROVENANCE,
    ),
)

UNCERTAINTY = Step(
    name="uncertainty",
    job=UncertaintyJob,
    inputs=(
        NamedFile("restored", "HDF5 of `restore` of each method that samples", several=True),
        NamedFile("test", "HDF5 of `pack` or `pack_scans` that they restored", several=True),
    ),
    outputs=(
        NamedFile("table", "CSV: what samples say of their own errors"),
        SECTION,
        NamedFile("png", "PNG: calibration and sparsification"),
        NamedFile("svg", "SVG: the same"),
        PROVENANCE,
    ),
)

DOSE_RESPONSE = Step(
    name="dose_response",
    job=DoseResponseJob,
    inputs=(
        NamedFile("scores", "CSV of `score` at all doses", several=True),
        NamedFile(
            "crossed",
            "CSV of `score` of what methods restored that learned at another dose",
            optional=True,
            several=True,
        ),
    ),
    outputs=(
        NamedFile("response", "CSV: metrics against dose"),
        NamedFile("equivalent", "CSV: the untreated dose that each method equals"),
        SECTION,
        NamedFile("png", "PNG: both"),
        NamedFile("svg", "SVG: the same"),
        PROVENANCE,
    ),
)

SUBJECTS = Step(
    name="subjects",
    job=SubjectsJob,
    inputs=(NamedFile("subjects", "CSV of whole subjects of each `score`", several=True),),
    outputs=(
        NamedFile("table", "CSV: means over subjects of each measure and method"),
        SECTION,
        PROVENANCE,
    ),
)

COHORTS = Step(
    name="cohorts",
    job=CohortsJob,
    inputs=(NamedFile("regions", "CSV of `score`, of all compared data sets", several=True),),
    outputs=(
        NamedFile("bias", "CSV: errors of regional activity in each cohort"),
        NamedFile("effects", "CSV: effects between cohorts, and what methods change in them"),
        SECTION,
        NamedFile("figure", "PNG: the effects"),
        SVG,
        PROVENANCE,
    ),
)

TRUTH = Step(
    name="truth",
    job=TruthJob,
    inputs=(
        NamedFile("scores", "CSV of `score`, of simulated data sets", several=True),
        NamedFile("test", "HDF5 of `pack`, of the same data sets", several=True),
    ),
    outputs=(
        NamedFile("table", "CSV: errors of every method and of the standard dose to the truth"),
        NamedFile("standard", "CSV: scores of the standard dose against the truth, slice by slice"),
        SECTION,
        PROVENANCE,
    ),
)
