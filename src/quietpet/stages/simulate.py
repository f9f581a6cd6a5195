"""Stage ``simulate``: the prompts of one subject's slices at one dose."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from quietpet.acquisition.background import (
    modelled_background,
    randoms_per_coincidence,
    scatter_kernel,
)
from quietpet.acquisition.counts import counts_per_activity, slice_counts
from quietpet.acquisition.dose import (
    decaying_minutes,
    grey_matter_kbq_per_ml,
    relative_activity,
    relative_randoms,
)
from quietpet.acquisition.events import draw_events, expected_events
from quietpet.acquisition.psf import GaussianPSF
from quietpet.acquisition.sensitivity import (
    arriving_pairs,
    attenuation_factors,
    bin_efficiencies,
    calibrated_sensitivity,
    normalisation_of,
)
from quietpet.config.scanner import ScannerSettings
from quietpet.errors import InputError
from quietpet.files.hdf5 import open_hdf5, read_array, read_strings, write_hdf5
from quietpet.files.lineage import Lineage, lineage_of
from quietpet.files.named import Files
from quietpet.jobs.acquisition import SimulateJob
from quietpet.projection.protocol import Projector
from quietpet.provenance import Stopwatch, provenance
from quietpet.recon.system import (
    data_grid,
    data_projector,
    decided,
    engine_versions,
    image_grid,
    projector,
    scanner_geometry,
)
from quietpet.runtime.device import compute_device
from quietpet.seeds import numpy_rng
from quietpet.units import KBQ_PER_ML, RELATIVE_ACTIVITY


@dataclass(frozen=True, kw_only=True, eq=False)
class Slices:
    """What is measured: ``maps`` (slice, y, x) of a file of kind "slices" by name, on the device.

    Slices of one of the ``rotations`` (slice,) belong to one scan; ``slice_mm`` (slice,) is their
    distance from the middle of the axis.
    """

    keys: list[str]
    rotations: np.ndarray
    slice_mm: np.ndarray
    maps: dict[str, torch.Tensor]
    lineage: Lineage


def run(job: SimulateJob, inputs: Files, outputs: Files) -> None:
    """Read ``slices``; write ``sinograms``: prompts and everything needed to model them.

    ``engine``, if given, says which engine ``scanner.projector: auto`` means in this study.
    """
    watch, device = Stopwatch(), compute_device()
    settings = decided(job.scanner, inputs.get("engine"))
    slices = _read(inputs.one("slices"), settings, device)
    system = projector(settings, device)
    _require_size(slices, system, inputs.one("slices"))
    unit = _activity_unit(job)
    write_hdf5(
        outputs.one("sinograms"),
        kind="sinograms",
        arrays=measurement(job, slices, system, settings, unit=unit),
        attributes={
            "axes": "(slice, view, bin)",
            "dose": job.dose,
            "subject": job.subject,
            "activity_units": KBQ_PER_ML if job.standard_scan else RELATIVE_ACTIVITY,
            "activity_per_phantom_unit": unit,
            "lineage": {**slices.lineage, "projector": settings.projector},
            "provenance": provenance(
                "simulate",
                settings=job.model_dump(),
                inputs=inputs.all(),
                watch=watch,
                device=str(device),
                also=job.named_code,
                engines=engine_versions(settings.projector),
            ),
        },
    )


def _read(path: Path, settings: ScannerSettings, device: torch.device) -> Slices:
    finer = settings.data_refinement > 1
    names = ("mu_per_cm", *(("fine_activity", "fine_mu_per_cm") if finer else ("activity",)))
    with open_hdf5(path, kind="slices") as file:
        return Slices(
            keys=read_strings(file, "key"),
            rotations=read_array(file, "rotation"),
            slice_mm=read_array(file, "slice_mm"),
            maps={name: torch.from_numpy(read_array(file, name)).to(device) for name in names},
            lineage=lineage_of(file),
        )


def _require_size(slices: Slices, system: Projector, path: Path) -> None:
    found = tuple(slices.maps["mu_per_cm"].shape[1:])
    if found != system.image_shape:
        raise InputError(
            f"{path}: slices are {found}, but scanner.image_pixels asks for {system.image_shape}; make "
            "the slices again."
        )


def measurement(
    job: SimulateJob,
    slices: Slices,
    system: Projector,
    settings: ScannerSettings,
    *,
    unit: float,
) -> dict[str, np.ndarray]:
    """All arrays of a file of kind "sinograms".

    The activity of ``slices`` is multiplied by ``unit`` to be in the unit of the images. Raises
    ValueError for slices without activity, where the dose is given by counts.
    """
    scanner, grid = scanner_geometry(settings), image_grid(settings)
    attenuation = attenuation_factors(slices.maps["mu_per_cm"], system, pixel_mm=grid.pixel_mm)
    arriving = _arriving(slices, unit, attenuation, system, settings, job.protocol.psf_fwhm_mm)
    efficiencies = bin_efficiencies(
        scanner,
        spread=settings.efficiency_spread,
        rng=numpy_rng(job.study_seed, "efficiencies", job.subject),
    )
    normalisation = normalisation_of(scanner, efficiencies, gaps=settings.gaps)
    scale, nominal = _calibration(job, slices, system, arriving, efficiencies, normalisation)
    events = _events(job, slices.keys, arriving, normalisation, scale)
    return {
        "key": np.array(slices.keys),
        **events,
        **modelled_background(events, normalisation, window=job.acquisition.randoms_window),
        **nominal,
        "attenuation": np.ascontiguousarray(attenuation.cpu().numpy()),
        "normalisation": normalisation,
        "counts_per_activity": scale,
        "achieved_counts": events["prompts"].sum(axis=(1, 2), dtype=np.int64),
    }


def _activity_unit(job: SimulateJob) -> float:
    """Image units per unit of the phantom: kBq/ml at the start of the standard scan, or 1."""
    if job.acquisition.calibration is None:
        return 1.0
    calibration, standard, grey_matter = job.calibration
    half_life_minutes = job.acquisition.half_life_minutes
    return (
        grey_matter_kbq_per_ml(standard, calibration, half_life_minutes=half_life_minutes) / grey_matter
    )


def _arriving(
    slices: Slices,
    unit: float,
    attenuation: torch.Tensor,
    system: Projector,
    settings: ScannerSettings,
    psf_fwhm_mm: float,
) -> np.ndarray:
    """Photon pairs (slice, view, bin) of the objects, whose activity is ``unit`` times the phantom's.

    Data are made of the model's pixels (``attenuation``, ``system``), or with ``scanner.data: finer``
    of smaller ones.
    """
    grid, device = data_grid(settings), attenuation.device
    activity = slices.maps.get("activity")
    if activity is None:
        activity, system = slices.maps["fine_activity"], data_projector(settings, device)
        mu_per_cm = slices.maps["fine_mu_per_cm"]
        attenuation = attenuation_factors(mu_per_cm, system, pixel_mm=grid.pixel_mm)
    blur = GaussianPSF(
        fwhm_mm=psf_fwhm_mm,
        pixel_mm=grid.pixel_mm,
        image_shape=system.image_shape,
        device=device,
    )
    return arriving_pairs(
        blur(unit * activity), attenuation, system, refinement=settings.data_refinement
    )


def _calibration(
    job: SimulateJob,
    slices: Slices,
    system: Projector,
    arriving: np.ndarray,
    efficiencies: np.ndarray,
    normalisation: np.ndarray,
) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """Recorded trues per arriving pair (slice,), and the nominal counts where these are given.

    Nominal counts include those lost in gaps. With a scan, images of every dose show the activity of
    the standard scan, whatever was injected.
    """
    settings, scan = job.scanner, job.protocol.scan
    if scan is None:
        counts = _nominal_counts(job, slices)
        trues = (1 - job.acquisition.scatter_fraction) * (1 - job.acquisition.randoms_fraction) * counts
        return counts_per_activity(arriving * efficiencies, trues), {"nominal_counts": counts}
    calibration, standard, _ = job.calibration
    half_life_minutes = job.acquisition.half_life_minutes
    scale = calibrated_sensitivity(
        scanner_geometry(settings),
        system,
        normalisation,
        image_grid(settings),
        slice_mm=slices.slice_mm,
        sensitivity_cps_per_kbq=calibration.sensitivity_cps_per_kbq,
        minutes=decaying_minutes(scan.minutes, half_life_minutes=half_life_minutes),
        activity=relative_activity(scan, standard, half_life_minutes=half_life_minutes),
    )
    return scale, {}


def _nominal_counts(job: SimulateJob, slices: Slices) -> np.ndarray:
    """Nominal counts (slice,); the slices of one rotated volume belong to one scan."""
    n_slices, counts = image_grid(job.scanner).n_slices, []
    for key, rotation in zip(slices.keys, slices.rotations, strict=True):
        scan = key if job.protocol.counts_per == "slice" else f"{job.subject}/r{int(rotation)}"
        rng = numpy_rng(job.study_seed, "counts", job.dose, scan)
        counts.append(slice_counts(job.protocol, slices_per_volume=n_slices, rng=rng))
    return np.array(counts)


def _randoms_per_coincidence(job: SimulateJob) -> float:
    """Randoms / (trues + scatter) at this dose; the configuration states the standard dose's."""
    relative = 1.0
    if job.protocol.scan is not None:
        _, standard, _ = job.calibration
        relative = relative_randoms(
            job.protocol.scan, standard, half_life_minutes=job.acquisition.half_life_minutes
        )
    return randoms_per_coincidence(job.acquisition.randoms_fraction, activity=relative)


def _events(
    job: SimulateJob,
    keys: list[str],
    arriving: np.ndarray,
    normalisation: np.ndarray,
    scale: np.ndarray,
) -> dict[str, np.ndarray]:
    """Events of all slices, and the expectations behind them, each (slice, ...)."""
    kernel = scatter_kernel(scanner_geometry(job.scanner), fwhm_mm=job.acquisition.scatter_fwhm_mm)
    rows: list[dict[str, float | np.ndarray]] = []
    for key, factor, pairs in zip(keys, scale, arriving, strict=True):
        expected = expected_events(
            pairs,
            normalisation,
            counts_per_activity=factor,
            scatter_kernel=kernel,
            scatter_fraction=job.acquisition.scatter_fraction,
            randoms_per_coincidence=_randoms_per_coincidence(job),
        )
        rows.append(
            {
                "expected_trues": expected.total_trues,
                "expected_scattered": expected.total_scattered,
                "expected_randoms": expected.total_randoms,
                **({} if expected.scatter is None else {"scatter": expected.scatter}),
                **draw_events(expected, _generators(job, key)),
            }
        )
    return {name: np.stack([row[name] for row in rows]) for name in rows[0]}


def _generators(job: SimulateJob, key: str) -> Callable[[str], np.random.Generator]:
    """The generator of each kind of event of one slice."""
    return lambda what: numpy_rng(job.study_seed, what, job.dose, key)
