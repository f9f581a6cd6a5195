"""``phantom``: one subject's activity, attenuation, T1 and lesions on the scanner's image grid."""

from __future__ import annotations

from quietpet.files.hdf5 import write_hdf5
from quietpet.files.named import Files
from quietpet.geometry.grid import scanner_grid
from quietpet.geometry.scanner import SCANNERS
from quietpet.jobs.phantoms import PhantomJob
from quietpet.phantom.heads import data_source, label_volume
from quietpet.phantom.lesions import draw_lesions
from quietpet.phantom.maps import activity_map, attenuation_map, describe_lesions, t1_map
from quietpet.phantom.resample import sample_nearest
from quietpet.provenance import Stopwatch, provenance
from quietpet.seeds import numpy_rng

UNITS = {"activity": "relative", "mu_per_cm": "1/cm", "t1": "arbitrary"}


def run(job: PhantomJob, inputs: Files, outputs: Files) -> None:
    """``labels`` and ``sources`` (a BrainWeb volume and its checksum), or neither -> ``phantom``.

    Where data are made of finer pixels, activity and attenuation are there on those too.
    """
    watch = Stopwatch()
    grid = scanner_grid(SCANNERS[job.scanner_model](), job.image_pixels)
    volume = label_volume(job.subject, inputs, template=job.template, study_seed=job.study_seed)
    lesions = {
        modality: draw_lesions(
            volume,
            settings=job.lesions,
            rng=numpy_rng(job.study_seed, "lesions", modality, job.subject),
        )
        for modality in ("pet", "t1")
    }
    mu_per_cm = attenuation_map(volume, values=job.mu_per_cm, grid=grid)
    activity = activity_map(volume, lesions["pet"], values=job.activity, settings=job.lesions, grid=grid)
    measured = {}
    if job.data_refinement > 1:
        fine = grid.refined(job.data_refinement)
        measured = {
            "fine_activity": activity_map(
                volume, lesions["pet"], values=job.activity, settings=job.lesions, grid=fine
            ).values,
            "fine_mu_per_cm": attenuation_map(volume, values=job.mu_per_cm, grid=fine),
        }
    t1 = t1_map(volume, lesions["t1"], values=job.t1, settings=job.lesions, grid=grid)
    write_hdf5(
        outputs.one("phantom"),
        kind="phantom",
        arrays={
            "activity": activity.values,
            "mu_per_cm": mu_per_cm,
            "t1": t1.values,
            "labels": sample_nearest(volume, grid=grid),
            "pet_lesions": activity.numbers,
            "t1_lesions": t1.numbers,
            **measured,
        },
        attributes={
            "subject": job.subject,
            "affine_ras_mm": grid.affine_ras_mm.tolist(),
            "units": UNITS,
            "lesions": {
                modality: describe_lesions(volume, drawn, grid=grid)
                for modality, drawn in lesions.items()
            },
            "lineage": {"data_source": data_source(inputs)},
            "provenance": provenance(
                "phantom", settings=job.model_dump(), inputs=inputs.all(), watch=watch
            ),
        },
    )
