"""Stage ``reconstruct``: OSEM images of one subject's slices at one dose."""

from __future__ import annotations

import numpy as np

from quietpet.acquisition.psf import GaussianPSF
from quietpet.jobs.acquisition import ReconstructJob
from quietpet.progress import track
from quietpet.provenance import Stopwatch, provenance
from quietpet.stages.device import compute_device
from quietpet.stages.files import Files
from quietpet.stages.sinograms import measurement_of, read_sinograms
from quietpet.stages.system import as_simulated, engine_versions, image_grid, reconstruction
from quietpet.store import require_finite, write_hdf5

SLICES_PER_BATCH = 50
"""Slices reconstructed together: enough to amortise reading the system matrix, 150 MB of sinograms."""


def run(job: ReconstructJob, inputs: Files, outputs: Files) -> None:
    """Read ``sinograms``; write ``images`` in the sinograms' units of activity."""
    watch, device = Stopwatch(), compute_device()
    sinograms = read_sinograms(inputs.one("sinograms"))
    settings = as_simulated(job.scanner, sinograms.lineage, origin=sinograms.path)
    osem = reconstruction(settings)
    measurement = measurement_of([sinograms], scanner=settings, protocol=job.protocol, device=device)
    post_filter = GaussianPSF(
        fwhm_mm=job.protocol.post_fwhm_mm,
        pixel_mm=image_grid(settings).pixel_mm,
        image_shape=measurement.model.projector.image_shape,
        device=device,
    )
    images = []
    starts = range(0, len(sinograms.keys), SLICES_PER_BATCH)
    for start in track(starts, label=f"OSEM {job.subject} {job.dose}", total=len(starts), unit="batch"):
        rows = range(start, min(start + SLICES_PER_BATCH, len(sinograms.keys)))
        batch = measurement.rows(rows).to(device)
        image = osem(
            batch.prompts,
            batch.model,
            iterations=job.protocol.iterations,
            subsets=job.protocol.subsets,
        )
        images.append(post_filter(image).cpu().numpy())
    reconstructed = np.concatenate(images)
    require_finite(reconstructed, f"OSEM of {inputs.one('sinograms')}")
    write_hdf5(
        outputs.one("images"),
        kind="images",
        arrays={"key": np.array(sinograms.keys), "image": reconstructed},
        attributes={
            "axes": "(slice, y, x)",
            "dose": job.dose,
            "subject": job.subject,
            "activity_units": sinograms.activity_units,
            "activity_per_phantom_unit": sinograms.activity_per_phantom_unit,
            "lineage": sinograms.lineage,
            "provenance": provenance(
                "reconstruct",
                settings=job.model_dump(),
                inputs=inputs.all(),
                watch=watch,
                device=str(device),
                engines=engine_versions(settings),
            ),
        },
    )
