"""``phantom``: one subject's activity, attenuation, T1 and lesions on the scanner's image grid."""

from __future__ import annotations

from quietpet.files.named import Files
from quietpet.files.records import write_record
from quietpet.geometry.grid import scanner_grid
from quietpet.geometry.scanner import SCANNERS
from quietpet.jobs.phantoms import PhantomJob
from quietpet.phantom.heads import data_source, label_volume
from quietpet.phantom.lesions import draw_lesions
from quietpet.phantom.maps import phantom_of
from quietpet.phantom.regions import RegionalUptake, draw_uptake
from quietpet.provenance import Stopwatch, provenance
from quietpet.seeds import numpy_rng


def run(job: PhantomJob, inputs: Files, outputs: Files) -> None:
    """``labels`` and ``sources`` (a BrainWeb volume and its checksum), or neither -> ``phantom``."""
    watch = Stopwatch()
    grid = scanner_grid(SCANNERS[job.scanner_model](), job.image_pixels)
    volume = label_volume(job.subject, inputs, template=job.template, study_seed=job.study_seed)
    lesions = {}
    for modality in ("pet", "t1"):
        rng = numpy_rng(job.study_seed, "lesions", modality, job.subject)
        lesions[modality] = draw_lesions(volume, settings=job.lesions, rng=rng)
    phantom = phantom_of(
        volume,
        lesions,
        subject=job.subject,
        lineage={"data_source": data_source(inputs)},
        activity=job.activity,
        mu_per_cm=job.mu_per_cm,
        t1=job.t1,
        settings=job.lesions,
        grid=grid,
        refinement=job.data_refinement,
        uptake=_uptake(job),
    )
    origin = provenance("phantom", settings=job.model_dump(), inputs=inputs.all(), watch=watch)
    write_record(outputs.one("phantom"), phantom, provenance=origin)


def _uptake(job: PhantomJob) -> RegionalUptake | None:
    """The subject's own uptake in brain regions; None where the data set has none."""
    if job.regions is None:
        return None
    return draw_uptake(job.regions, rng_of=lambda *names: numpy_rng(job.study_seed, *names, job.subject))
