"""Stage ``simulate``: the prompts of one subject's slices at one dose."""

from __future__ import annotations

import numpy as np
import torch

from quietpet.acquisition.background import modelled_background, odds, scaled_to, scatter_kernel
from quietpet.acquisition.counts import counts_per_activity, poisson_prompts, slice_counts
from quietpet.acquisition.dose import (
    decaying_minutes,
    grey_matter_kbq_per_ml,
    relative_activity,
    relative_randoms,
)
from quietpet.acquisition.model import AcquisitionModel
from quietpet.acquisition.psf import GaussianPSF
from quietpet.acquisition.sensitivity import (
    attenuation_factors,
    axial_acceptance,
    bin_efficiencies,
    counts_per_kbq_per_ml,
    without_gaps,
)
from quietpet.config.scanner import ScannerSettings
from quietpet.errors import InputError
from quietpet.files.hdf5 import open_hdf5, read_array, read_strings, write_hdf5
from quietpet.geometry.grid import ImageGrid
from quietpet.jobs.acquisition import SimulateJob
from quietpet.projection.protocol import Projector
from quietpet.provenance import Stopwatch, provenance
from quietpet.seeds import numpy_rng
from quietpet.stages.device import compute_device
from quietpet.stages.files import Files
from quietpet.stages.lineage import lineage_of
from quietpet.stages.system import (
    data_grid,
    data_projector,
    decided,
    engine_versions,
    image_grid,
    projector,
    scanner_geometry,
)
from quietpet.units import KBQ_PER_ML, RELATIVE_ACTIVITY


def run(job: SimulateJob, inputs: Files, outputs: Files) -> None:
    """Read ``slices``; write ``sinograms``: prompts and everything needed to model them.

    ``engine``, if given, says which engine ``scanner.projector: auto`` means in this study.
    """
    watch, device = Stopwatch(), compute_device()
    finer = job.scanner.data_refinement > 1
    objects = ("mu_per_cm", *(("fine_activity", "fine_mu_per_cm") if finer else ("activity",)))
    with open_hdf5(inputs.one("slices"), kind="slices") as file:
        keys = read_strings(file, "key")
        rotations, slice_mm = read_array(file, "rotation"), read_array(file, "slice_mm")
        maps = {name: torch.from_numpy(read_array(file, name)).to(device) for name in objects}
        lineage = lineage_of(file)

    settings = decided(job.scanner, inputs.get("engine"))
    system, grid = projector(settings, device), image_grid(settings)
    if maps["mu_per_cm"].shape[1:] != system.image_shape:
        raise InputError(
            f"{inputs.one('slices')}: slices are {tuple(maps['mu_per_cm'].shape[1:])}, but "
            f"scanner.image_pixels asks for {system.image_shape}; make the slices again."
        )
    unit = _activity_unit(job)
    attenuation = attenuation_factors(maps["mu_per_cm"], system, pixel_mm=grid.pixel_mm)
    scanner = scanner_geometry(job.scanner)
    efficiencies = bin_efficiencies(
        scanner,
        spread=job.scanner.efficiency_spread,
        rng=numpy_rng(job.study_seed, "efficiencies", job.subject),
    )
    normalisation = without_gaps(scanner, efficiencies) if job.scanner.gaps else efficiencies
    kernel = scatter_kernel(scanner, fwhm_mm=job.acquisition.scatter_fwhm_mm)
    psf_fwhm_mm = job.protocol.psf_fwhm_mm
    if finer:
        activity, mu_per_cm = unit * maps["fine_activity"], maps["fine_mu_per_cm"]
        arriving = _arriving_of_finer(activity, mu_per_cm, settings, psf_fwhm_mm=psf_fwhm_mm)
    else:
        arriving = _arriving(unit * maps["activity"], attenuation, system, grid, psf_fwhm_mm=psf_fwhm_mm)
    nominal = {}
    if job.protocol.scan is None:
        counts = np.array(
            [
                _counts(job, key=key, rotation=int(rotation), slices_per_volume=grid.n_slices)
                for key, rotation in zip(keys, rotations, strict=True)
            ]
        )
        trues = (1 - job.acquisition.scatter_fraction) * (1 - job.acquisition.randoms_fraction) * counts
        calibration = counts_per_activity(arriving * efficiencies, trues)
        nominal["nominal_counts"] = counts
    else:
        calibration = _counts_per_activity(job, system, normalisation, grid)
        calibration = calibration * axial_acceptance(scanner, slice_mm)
    measured = [
        _measured(
            job,
            key=key,
            trues=factor * normalisation * sinogram,
            normalisation=normalisation,
            blurred=sinogram @ kernel if job.acquisition.scatter_fraction else None,
        )
        for key, factor, sinogram in zip(keys, calibration, arriving, strict=True)
    ]
    arrays = {name: np.stack([each[name] for each in measured]) for name in measured[0]}
    arrays |= modelled_background(arrays, normalisation, window=job.acquisition.randoms_window)
    write_hdf5(
        outputs.one("sinograms"),
        kind="sinograms",
        arrays={
            "key": np.array(keys),
            **arrays,
            **nominal,
            "attenuation": np.ascontiguousarray(attenuation.cpu().numpy()),
            "normalisation": normalisation,
            "counts_per_activity": calibration,
            "achieved_counts": arrays["prompts"].sum(axis=(1, 2), dtype=np.int64),
        },
        attributes={
            "axes": "(slice, view, bin)",
            "dose": job.dose,
            "subject": job.subject,
            "activity_units": KBQ_PER_ML if job.standard_scan else RELATIVE_ACTIVITY,
            "activity_per_phantom_unit": unit,
            "lineage": {**lineage, "projector": settings.projector},
            "provenance": provenance(
                "simulate",
                settings=job.model_dump(),
                inputs=inputs.all(),
                watch=watch,
                device=str(device),
                engines=engine_versions(settings.projector),
            ),
        },
    )


def _arriving_of_finer(
    activity: torch.Tensor, mu_per_cm: torch.Tensor, settings: ScannerSettings, *, psf_fwhm_mm: float
) -> np.ndarray:
    """:func:`_arriving` of objects on finer pixels and more rays, in units of the model's pixel."""
    system, grid = data_projector(settings, activity.device), data_grid(settings)
    attenuation = attenuation_factors(mu_per_cm, system, pixel_mm=grid.pixel_mm)
    arriving = _arriving(activity, attenuation, system, grid, psf_fwhm_mm=psf_fwhm_mm)
    return arriving / np.float32(settings.data_refinement)


def _arriving(
    activity: torch.Tensor,
    attenuation: torch.Tensor,
    system: Projector,
    grid: ImageGrid,
    *,
    psf_fwhm_mm: float,
) -> np.ndarray:
    """Attenuated line integrals (slice, view, bin) of blurred objects, in units of the grid's pixel."""
    model = AcquisitionModel(
        projector=system,
        psf=GaussianPSF(
            fwhm_mm=psf_fwhm_mm,
            pixel_mm=grid.pixel_mm,
            image_shape=system.image_shape,
            device=activity.device,
        ),
        multiplicative=attenuation,
    )
    return model.expected(activity).cpu().numpy()


def _counts(job: SimulateJob, *, key: str, rotation: int, slices_per_volume: int) -> float:
    """Nominal counts of one slice; the slices of one rotated volume belong to one scan."""
    scan = key if job.protocol.counts_per == "slice" else f"{job.subject}/r{rotation}"
    rng = numpy_rng(job.study_seed, "counts", job.dose, scan)
    return slice_counts(job.protocol, slices_per_volume=slices_per_volume, rng=rng)


def _activity_unit(job: SimulateJob) -> float:
    """Image units per unit of the phantom: kBq/ml at the start of the standard scan, or 1."""
    calibration = job.acquisition.calibration
    if calibration is None:
        return 1.0
    grey_matter = grey_matter_kbq_per_ml(
        job.standard_scan, calibration, half_life_minutes=job.acquisition.half_life_minutes
    )
    return grey_matter / job.grey_matter


def _counts_per_activity(
    job: SimulateJob, system: Projector, normalisation: np.ndarray, grid: ImageGrid
) -> float:
    """Recorded trues per line integral of 1 kBq/ml, where that is the activity of the standard scan.

    Images of every dose then show the activity of the standard scan, whatever was injected.
    """
    half_life_minutes = job.acquisition.half_life_minutes
    activity = relative_activity(
        job.protocol.scan, job.standard_scan, half_life_minutes=half_life_minutes
    )
    return activity * counts_per_kbq_per_ml(
        system,
        normalisation,
        grid,
        sensitivity_cps_per_kbq=job.acquisition.calibration.sensitivity_cps_per_kbq,
        minutes=decaying_minutes(job.protocol.scan.minutes, half_life_minutes=half_life_minutes),
    )


def _randoms_per_coincidence(job: SimulateJob) -> float:
    """Randoms / (trues + scatter) at this dose; the configuration states the standard dose's."""
    at_standard = odds(job.acquisition.randoms_fraction)
    if job.protocol.scan is None:
        return at_standard
    return at_standard * relative_randoms(
        job.protocol.scan, job.standard_scan, half_life_minutes=job.acquisition.half_life_minutes
    )


def _measured(
    job: SimulateJob,
    *,
    key: str,
    trues: np.ndarray,
    normalisation: np.ndarray,
    blurred: np.ndarray | None,
) -> dict[str, np.ndarray]:
    """What one slice adds to the arrays of the file: events, and the expectations behind them.

    ``trues`` are expected, in recorded bins (view, bin); ``blurred`` is the shape of scatter before
    detection, None without scatter.
    """

    def drawn(expected: np.ndarray, what: str) -> np.ndarray:
        return poisson_prompts(expected, numpy_rng(job.study_seed, what, job.dose, key))

    seen = trues > 0
    randoms_per_coincidence = _randoms_per_coincidence(job)
    total_trues = trues.sum()
    total_scattered = odds(job.acquisition.scatter_fraction) * total_trues
    total_randoms = randoms_per_coincidence * (total_trues + total_scattered)
    measured = {
        "expected_trues": total_trues,
        "expected_scattered": total_scattered,
        "expected_randoms": total_randoms,
    }
    coincidences = trues
    if blurred is not None:
        measured["scatter"] = scaled_to(total_scattered, normalisation * blurred, within=seen)
        coincidences = trues + measured["scatter"]
    measured["prompts"] = drawn(coincidences, "prompts")
    if randoms_per_coincidence:
        randoms = scaled_to(total_randoms, normalisation, within=seen)
        measured |= {"random_prompts": drawn(randoms, "randoms"), "delayed": drawn(randoms, "delayed")}
        measured["prompts"] += measured["random_prompts"]
    return measured
