"""Steps of methods: how they learn, how many steps they sample with, and what they restore."""

from __future__ import annotations

from quietpet.jobs.methods import FitJob, LearningRateJob, PlanJob, RestoreJob, SamplingJob
from quietpet.steps.shared_files import SECTION, SINOGRAMS_OF_SLICES, SVG, TO_RESTORE
from quietpet.steps.step import NamedFile, Step

_TRAIN_SINOGRAMS = NamedFile(
    "train_sinograms",
    "low-dose sinograms of each training subject, in the order of `train`, for methods that learn from "
    "them",
    optional=True,
    several=True,
)

_VALIDATION_SINOGRAMS = NamedFile(
    "sinograms", SINOGRAMS_OF_SLICES.format("validation"), optional=True, several=True
)

LEARNING_RATE = Step(
    name="learning_rate",
    job=LearningRateJob,
    inputs=(
        NamedFile("train", "HDF5 of `pack`"),
        NamedFile("validation", "HDF5 of `pack`"),
        _TRAIN_SINOGRAMS,
        _VALIDATION_SINOGRAMS,
    ),
    outputs=(NamedFile("rate", "JSON: the learning rates that were tried, and the chosen one"),),
)

FIT = Step(
    name="fit",
    job=FitJob,
    inputs=(
        NamedFile("train", "HDF5 of `pack` or `pack_scans`, in the order of trained_on", several=True),
        NamedFile("validation", "HDF5 of `pack` or `pack_scans`"),
        _TRAIN_SINOGRAMS,
        NamedFile("start", "weights of the stage before, for later stages of learning", optional=True),
        NamedFile(
            "rate", "JSON of `learning_rate`, where training.learning_rate_trials is", optional=True
        ),
        _VALIDATION_SINOGRAMS,
    ),
    outputs=(
        NamedFile("weights", "safetensors: weights, settings and provenance"),
        NamedFile("log", "CSV: losses, one row per validation"),
        NamedFile("card", "Markdown: what the weights are, and what not", optional=True),
    ),
)

RESTORE = Step(
    name="restore",
    job=RestoreJob,
    inputs=TO_RESTORE,
    outputs=(NamedFile("restored", "HDF5: restored slices, in the unit of the data"),),
)

PLAN = Step(
    name="plan",
    job=PlanJob,
    inputs=(
        NamedFile("weights", "weights of `fit`"),
        NamedFile("validation", "HDF5 of `pack` or `pack_scans`"),
    ),
    outputs=(NamedFile("plan", "JSON: quality against steps, and what is chosen"),),
)

SAMPLING = Step(
    name="sampling",
    job=SamplingJob,
    inputs=(
        NamedFile("plan", "JSON of `plan`: quality against steps of one diffusion method", several=True),
    ),
    outputs=(
        NamedFile("table", "CSV: quality against steps of all methods"),
        SECTION,
        NamedFile("figure", "PNG: the same"),
        SVG,
    ),
)
