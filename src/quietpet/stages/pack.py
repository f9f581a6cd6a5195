"""Stage ``pack``: standard- and low-dose images, T1 and masks of a split, in one HDF5 file."""

from __future__ import annotations

from quietpet.data.packing import SubjectImages, packed_subjects
from quietpet.errors import InputError
from quietpet.files.images import ReconstructedSlices
from quietpet.files.named import Files
from quietpet.files.phantoms import KnownSlices
from quietpet.files.records import read_record, write_record
from quietpet.geometry.grid import scanner_grid
from quietpet.geometry.scanner import SCANNERS
from quietpet.jobs.datasets import PackJob
from quietpet.provenance import Stopwatch, provenance


def run(job: PackJob, inputs: Files, outputs: Files) -> None:
    """Read ``slices``, ``standard`` and ``low`` of all subjects in one order; write ``dataset``."""
    watch = Stopwatch()
    sources = zip(inputs.many("slices"), inputs.many("standard"), inputs.many("low"), strict=True)
    subjects = [
        SubjectImages.of(
            read_record(slices, KnownSlices),
            read_record(standard, ReconstructedSlices),
            read_record(low, ReconstructedSlices),
            low_dose=job.setting,
        )
        for slices, standard, low in sources
    ]
    found = tuple(each.slices.subject for each in subjects)
    if found != job.subjects:
        raise InputError(f"the {job.split} split is {job.subjects}, but images of {found} were given.")
    packed = packed_subjects(
        subjects,
        grid=scanner_grid(SCANNERS[job.scanner_model](), job.pixels),
        dataset=job.dataset,
        setting=job.setting,
        split=job.split,
    )
    origin = provenance("pack", settings=job.model_dump(), inputs=inputs.all(), watch=watch)
    write_record(outputs.one("dataset"), packed, provenance=origin)
