"""Stage ``simulate``: the prompts of one subject's slices at one dose."""

from __future__ import annotations

import numpy as np
import torch

from quietpet.acquisition.counts import counts_per_activity, poisson_prompts, slice_counts
from quietpet.acquisition.model import AcquisitionModel
from quietpet.acquisition.psf import GaussianPSF
from quietpet.acquisition.sensitivity import attenuation_factors, bin_efficiencies, without_gaps
from quietpet.errors import InputError
from quietpet.jobs import SimulateJob
from quietpet.provenance import Stopwatch, provenance
from quietpet.seeds import numpy_rng
from quietpet.stages.device import compute_device
from quietpet.stages.files import Files
from quietpet.stages.lineage import lineage_of
from quietpet.stages.system import decided, engine_versions, image_grid, projector, scanner_geometry
from quietpet.store import open_hdf5, read_array, read_strings, write_hdf5


def run(job: SimulateJob, inputs: Files, outputs: Files) -> None:
    """Read ``slices``; write ``sinograms``: prompts and everything needed to model them.

    ``engine``, if given, says which engine ``scanner.projector: auto`` means in this study.
    """
    watch, device = Stopwatch(), compute_device()
    with open_hdf5(inputs.one("slices"), kind="slices") as file:
        keys = read_strings(file, "key")
        rotations = read_array(file, "rotation")
        activity = torch.from_numpy(read_array(file, "activity")).to(device)
        mu_per_cm = torch.from_numpy(read_array(file, "mu_per_cm")).to(device)
        lineage = lineage_of(file)

    settings = decided(job.scanner, inputs.get("engine"))
    system, grid = projector(settings, device), image_grid(settings)
    if activity.shape[1:] != system.image_shape:
        raise InputError(
            f"{inputs.one('slices')}: slices are {tuple(activity.shape[1:])}, but scanner.image_pixels "
            f"asks for {system.image_shape}; make the slices again."
        )
    attenuation = attenuation_factors(mu_per_cm, system, pixel_mm=grid.pixel_mm)
    scanner = scanner_geometry(job.scanner)
    efficiencies = bin_efficiencies(
        scanner,
        spread=job.scanner.efficiency_spread,
        rng=numpy_rng(job.study_seed, "efficiencies", job.subject),
    )
    normalisation = without_gaps(scanner, efficiencies) if job.scanner.gaps else efficiencies
    model = AcquisitionModel(
        projector=system,
        psf=GaussianPSF(
            fwhm_mm=job.protocol.psf_fwhm_mm,
            pixel_mm=grid.pixel_mm,
            image_shape=system.image_shape,
            device=device,
        ),
        multiplicative=attenuation,
    )
    arriving = model.expected(activity).cpu().numpy()
    counts = np.array(
        [
            _counts(job, key=key, rotation=int(rotation), slices_per_volume=grid.n_slices)
            for key, rotation in zip(keys, rotations, strict=True)
        ]
    )
    calibration = counts_per_activity(arriving * efficiencies, counts)
    prompts = np.stack(
        [
            poisson_prompts(
                factor * normalisation * sinogram, numpy_rng(job.study_seed, "prompts", job.dose, key)
            )
            for key, factor, sinogram in zip(keys, calibration, arriving, strict=True)
        ]
    )
    write_hdf5(
        outputs.one("sinograms"),
        kind="sinograms",
        arrays={
            "key": np.array(keys),
            "prompts": prompts,
            "attenuation": np.ascontiguousarray(attenuation.cpu().numpy()),
            "normalisation": normalisation,
            "counts_per_activity": calibration,
            "nominal_counts": counts,
            "achieved_counts": prompts.sum(axis=(1, 2), dtype=np.int64),
        },
        attributes={
            "axes": "(slice, view, bin)",
            "dose": job.dose,
            "subject": job.subject,
            "lineage": {**lineage, "projector": settings.projector},
            "provenance": provenance(
                "simulate",
                settings=job.model_dump(),
                inputs=inputs.all(),
                watch=watch,
                device=str(device),
                engines=engine_versions(settings),
            ),
        },
    )


def _counts(job: SimulateJob, *, key: str, rotation: int, slices_per_volume: int) -> float:
    """Nominal counts of one slice; the slices of one rotated volume belong to one scan."""
    scan = key if job.protocol.counts_per == "slice" else f"{job.subject}/r{rotation}"
    rng = numpy_rng(job.study_seed, "counts", job.dose, scan)
    return slice_counts(job.protocol, slices_per_volume=slices_per_volume, rng=rng)
