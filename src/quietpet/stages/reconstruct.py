"""Stage ``reconstruct``: OSEM images of one subject's slices at one dose."""

from __future__ import annotations

import numpy as np
import torch

from quietpet.acquisition.model import AcquisitionModel
from quietpet.acquisition.psf import GaussianPSF
from quietpet.jobs import ReconstructJob
from quietpet.progress import track
from quietpet.provenance import Stopwatch, provenance
from quietpet.recon.osem import osem
from quietpet.stages.device import compute_device
from quietpet.stages.files import Files
from quietpet.stages.lineage import lineage_of
from quietpet.stages.system import image_grid, projector
from quietpet.store import (
    open_hdf5,
    read_array,
    read_strings,
    require_finite,
    write_hdf5,
)

SLICES_PER_BATCH = 50
"""Slices reconstructed together: enough to amortise reading the system matrix, 150 MB of sinograms."""


def run(job: ReconstructJob, inputs: Files, outputs: Files) -> None:
    """Read ``sinograms``; write ``images`` in the units of the phantom's activity."""
    watch, device = Stopwatch(), compute_device()
    with open_hdf5(inputs.one("sinograms"), kind="sinograms") as file:
        keys = read_strings(file, "key")
        prompts = read_array(file, "prompts").astype(np.float32)
        multiplicative = read_array(file, "attenuation") * read_array(file, "normalisation")
        multiplicative *= read_array(file, "counts_per_activity")[:, None, None].astype(np.float32)
        lineage = lineage_of(file)

    system, pixel_mm = projector(job.scanner, device), image_grid(job.scanner).pixel_mm
    psf = GaussianPSF(
        fwhm_mm=job.protocol.psf_fwhm_mm,
        pixel_mm=pixel_mm,
        image_shape=system.image_shape,
        device=device,
    )
    images = []
    starts = range(0, len(keys), SLICES_PER_BATCH)
    for start in track(starts, label=f"OSEM {job.subject} {job.dose}", total=len(starts), unit="batch"):
        batch = slice(start, start + SLICES_PER_BATCH)
        model = AcquisitionModel(
            projector=system, psf=psf, multiplicative=torch.from_numpy(multiplicative[batch]).to(device)
        )
        image = osem(
            torch.from_numpy(prompts[batch]).to(device),
            model,
            iterations=job.protocol.iterations,
            subsets=job.protocol.subsets,
        )
        images.append(image.cpu().numpy())
    reconstructed = np.concatenate(images)
    require_finite(reconstructed, f"OSEM of {inputs.one('sinograms')}")
    write_hdf5(
        outputs.one("images"),
        kind="images",
        arrays={"key": np.array(keys), "image": reconstructed},
        attributes={
            "axes": "(slice, y, x)",
            "dose": job.dose,
            "subject": job.subject,
            "lineage": lineage,
            "provenance": provenance(
                "reconstruct",
                settings=job.model_dump(),
                inputs=inputs.all(),
                watch=watch,
                device=str(device),
            ),
        },
    )
