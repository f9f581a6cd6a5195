"""Steps from phantoms to images: the scan, its counts and doses, and OSEM."""

from __future__ import annotations

from quietpet.jobs.acquisition import CountsJob, EngineJob, ReconstructJob, SimulateJob, ThinJob
from quietpet.steps.shared_files import DECISION, ENGINE_DECISION
from quietpet.steps.step import NamedFile, Step

ENGINE = Step(name="engine", job=EngineJob, outputs=(DECISION,))

SIMULATE = Step(
    name="simulate",
    job=SimulateJob,
    inputs=(
        NamedFile("slices", "HDF5 of `slices`"),
        ENGINE_DECISION,
    ),
    outputs=(NamedFile("sinograms", "HDF5: prompts, and what models them"),),
)

THIN = Step(
    name="thin",
    job=ThinJob,
    inputs=(NamedFile("standard", "HDF5 of `simulate` at the standard dose"),),
    outputs=(NamedFile("sinograms", "HDF5: a part of the prompts, and what models them"),),
)

COUNTS = Step(
    name="counts",
    job=CountsJob,
    inputs=(NamedFile("sinograms", "HDF5 of `simulate` or `thin`", several=True),),
    outputs=(NamedFile("counts", "CSV: prompts and noise-equivalent counts of each slice"),),
)

RECONSTRUCT = Step(
    name="reconstruct",
    job=ReconstructJob,
    inputs=(NamedFile("sinograms", "HDF5 of `simulate` or `thin`"),),
    outputs=(NamedFile("images", "HDF5: OSEM images of the slices"),),
)
