"""Stage ``reconstruct``: OSEM images of one subject's slices at one dose."""

from __future__ import annotations

from quietpet.files.images import ReconstructedSlices
from quietpet.files.named import Files
from quietpet.files.records import write_record
from quietpet.files.sinograms import read_sinograms
from quietpet.jobs.acquisition import ReconstructJob
from quietpet.provenance import Stopwatch, provenance
from quietpet.recon.slices import osem_images
from quietpet.recon.system import as_simulated, engine_versions
from quietpet.runtime.device import compute_device


def run(job: ReconstructJob, inputs: Files, outputs: Files) -> None:
    """Read ``sinograms``; write ``images`` in the sinograms' units of activity."""
    watch, device = Stopwatch(), compute_device()
    sinograms = read_sinograms(inputs.one("sinograms"))
    settings = as_simulated(job.scanner, sinograms.lineage, origin=sinograms.origin)
    images = ReconstructedSlices(
        dose=job.dose,
        subject=job.subject,
        activity_units=sinograms.activity_units,
        activity_per_phantom_unit=sinograms.activity_per_phantom_unit,
        lineage=sinograms.lineage,
        key=sinograms.keys,
        image=osem_images(sinograms, job.protocol, settings, device, label=job.subject),
    )
    origin = provenance(
        "reconstruct",
        settings=job.model_dump(),
        inputs=inputs.all(),
        watch=watch,
        device=str(device),
        also=job.named_code,
        engines=engine_versions(settings.projector),
    )
    write_record(outputs.one("images"), images, provenance=origin)
