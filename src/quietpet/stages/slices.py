"""``slices``: the transaxial slices of one phantom, each in its rotations."""

from __future__ import annotations

import numpy as np

from quietpet.files.hdf5 import open_hdf5, read_array, read_attribute, read_rows, write_hdf5
from quietpet.files.lineage import lineage_of
from quietpet.files.named import Files
from quietpet.jobs.phantoms import SlicesJob
from quietpet.phantom.slices import (
    cut_linear,
    cut_nearest,
    draw_angles_deg,
    require_activity,
    require_inside_disc,
    slice_rows,
)
from quietpet.provenance import Stopwatch, provenance
from quietpet.seeds import numpy_rng

LINEAR = ("activity", "mu_per_cm", "t1")
FINE = ("fine_activity", "fine_mu_per_cm")
"""Of phantoms whose data are made of finer pixels."""

NEAREST = ("labels", "pet_lesions", "t1_lesions")


def run(job: SlicesJob, inputs: Files, outputs: Files) -> None:
    """``phantom`` -> ``slices``: one row per slice and rotation."""
    watch = Stopwatch()
    with open_hdf5(inputs.one("phantom"), kind="phantom") as file:
        activity = read_array(file, "activity")
        require_activity(activity, subject=job.subject, indices=job.slices.indices)
        linear = (*LINEAR, *(name for name in FINE if name in file))
        planes = {name: read_rows(file, name, job.slices.indices) for name in (*linear, *NEAREST)}
        inherited = {
            "affine_ras_mm": read_attribute(file, "affine_ras_mm"),
            "units": read_attribute(file, "units"),
            "lineage": lineage_of(file),
        }
    head = (planes["mu_per_cm"] > 0).astype(np.uint8)
    require_inside_disc(head, subject=job.subject, indices=job.slices.indices)
    angles_deg = draw_angles_deg(
        rotations=job.slices.rotations,
        max_angle_deg=job.slices.max_angle_deg,
        rng=numpy_rng(job.study_seed, "rotations", job.subject),
    )
    rows = slice_rows(job.slices.indices, angles_deg)
    slice_mm, _, _, first_mm = inherited["affine_ras_mm"][2]
    index = np.array([row.slice_index for row in rows])
    write_hdf5(
        outputs.one("slices"),
        kind="slices",
        arrays={
            **{name: cut_linear(planes[name], angles_deg) for name in linear},
            **{name: cut_nearest(planes[name], angles_deg) for name in NEAREST},
            "head": cut_nearest(head, angles_deg),
            "slice_index": index,
            "slice_mm": first_mm + slice_mm * index,
            "angle_deg": np.array([row.angle_deg for row in rows]),
            "rotation": np.array([row.rotation for row in rows]),
            "key": np.array([row.key(job.subject) for row in rows]),
        },
        attributes={
            "subject": job.subject,
            **inherited,
            "provenance": provenance(
                "slices", settings=job.model_dump(), inputs=inputs.all(), watch=watch
            ),
        },
    )
