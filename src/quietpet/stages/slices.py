"""``slices``: the transaxial slices of one phantom, each in its rotations."""

from __future__ import annotations

from quietpet.files.named import Files
from quietpet.files.phantoms import Phantom, read_activity
from quietpet.files.records import read_record, write_record
from quietpet.jobs.phantoms import SlicesJob
from quietpet.phantom.slices import (
    draw_angles_deg,
    require_activity,
    require_inside_disc,
    slices_of,
)
from quietpet.provenance import Stopwatch, provenance
from quietpet.seeds import numpy_rng


def run(job: SlicesJob, inputs: Files, outputs: Files) -> None:
    """``phantom`` -> ``slices``: one row per slice and rotation."""
    watch, path, settings = Stopwatch(), inputs.one("phantom"), job.slices
    require_activity(read_activity(path), subject=job.subject, indices=settings.indices)
    planes = read_record(path, Phantom, rows=settings.indices)
    require_inside_disc(planes.mu_per_cm > 0, subject=job.subject, indices=settings.indices)
    angles_deg = draw_angles_deg(
        rotations=settings.rotations,
        max_angle_deg=settings.max_angle_deg,
        rng=numpy_rng(job.study_seed, "rotations", job.subject),
    )
    cut = slices_of(planes, indices=settings.indices, angles_deg=angles_deg)
    origin = provenance("slices", settings=job.model_dump(), inputs=inputs.all(), watch=watch)
    write_record(outputs.one("slices"), cut, provenance=origin)
