"""Steps that make heads: BrainWeb's, the template, and what stands in for a scan."""

from __future__ import annotations

from quietpet.jobs.phantoms import FetchJob, PhantomJob, SlicesJob
from quietpet.jobs.standin import StandinCohortJob, StandinJob
from quietpet.steps.shared_files import DECISION
from quietpet.steps.step import NamedFile, Step

_LABELS = (
    NamedFile(
        "labels",
        "BrainWeb's label volume; without it the head is made from the template",
        optional=True,
        beside="sources",
    ),
    NamedFile(
        "sources",
        "table with the checksum of that volume, as sources.tsv",
        optional=True,
        beside="labels",
    ),
)

FETCH = Step(
    name="fetch",
    job=FetchJob,
    inputs=(NamedFile("sources", "table of external files with their checksums, as sources.tsv"),),
    outputs=(DECISION,),
)

PHANTOM = Step(
    name="phantom",
    job=PhantomJob,
    inputs=_LABELS,
    outputs=(NamedFile("phantom", "HDF5: activity, attenuation, T1, labels and lesions"),),
)

SLICES = Step(
    name="slices",
    job=SlicesJob,
    inputs=(NamedFile("phantom", "HDF5 of `phantom`"),),
    outputs=(NamedFile("slices", "HDF5: one row per slice and rotation"),),
)

STANDIN = Step(
    name="standin",
    job=StandinJob,
    inputs=_LABELS,
    outputs=(
        NamedFile("pet", "4-D NIfTI, one per run", several=True),
        NamedFile("pet_json", "its side-car, one per run", several=True),
        NamedFile("t1", "NIfTI: T1"),
        NamedFile("t1_json", "its side-car"),
        NamedFile("truth", "JSON: motion from T1 to PET, time-activity curves"),
    ),
)

STANDIN_COHORT = Step(
    name="standin_cohort",
    job=StandinCohortJob,
    outputs=(
        NamedFile("description", "dataset_description.json of BIDS"),
        NamedFile("readme", "README of BIDS"),
        NamedFile("participants", "participants.tsv of BIDS"),
        NamedFile("participants_json", "participants.json of BIDS"),
        NamedFile("ignored", ".bidsignore"),
    ),
)
