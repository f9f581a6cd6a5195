"""A scan of slices at one dose: their prompts, and everything needed to model these."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import groupby
from operator import itemgetter

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
from quietpet.files.phantoms import ScannedSlices
from quietpet.files.sinograms import ScannedDose
from quietpet.jobs.acquisition import SimulateJob
from quietpet.projection.protocol import Projector
from quietpet.recon.system import data_grid, data_projector, image_grid, projector, scanner_geometry
from quietpet.seeds import numpy_rng
from quietpet.units import KBQ_PER_ML, RELATIVE_ACTIVITY


@dataclass(frozen=True, kw_only=True, eq=False)
class MeanScan:
    """What a scan is about to count of some slices: all but the draw of events.

    ``arriving`` pairs and their ``attenuation`` are (slice, view, bin), ``normalisation`` (view, bin) is
    0 in gaps. ``scale`` (slice,) are recorded trues per arriving pair, ``nominal`` (slice,) the counts
    that are asked for, where they are.
    """

    arriving: np.ndarray
    attenuation: np.ndarray
    normalisation: np.ndarray
    scale: np.ndarray
    nominal: np.ndarray | None


def scanned(
    job: SimulateJob,
    slices: ScannedSlices,
    settings: ScannerSettings,
    device: torch.device,
    *,
    unit: float,
) -> ScannedDose:
    """A scan by the scanner of ``settings``, whose engine is decided.

    The activity of ``slices`` is multiplied by ``unit`` to be in the unit of the images.

    Raises:
        InputError: the slices are not as large as images of the scanner.
        ValueError: slices have no activity, where the dose is given by counts.
    """
    scan = mean_scan(job, slices, settings, device, unit=unit)
    rows = range(len(slices.key))
    return counted(job, scan, slices, settings, rows=rows, keys=slices.key, unit=unit)


def mean_scan(
    job: SimulateJob,
    slices: ScannedSlices,
    settings: ScannerSettings,
    device: torch.device,
    *,
    unit: float,
) -> MeanScan:
    """What is measured on average, and raised, as in :func:`scanned`."""
    scanner, grid, system = scanner_geometry(settings), image_grid(settings), projector(settings, device)
    _require_size(slices, system)
    mu_per_cm = torch.from_numpy(slices.mu_per_cm).to(device)
    attenuation = attenuation_factors(mu_per_cm, system, pixel_mm=grid.pixel_mm)
    arriving = _arriving(slices, unit, attenuation, system, settings, job.protocol.psf_fwhm_mm)
    efficiencies = bin_efficiencies(
        scanner,
        spread=settings.efficiency_spread,
        rng=numpy_rng(job.study_seed, "efficiencies", job.subject),
    )
    normalisation = normalisation_of(scanner, efficiencies, gaps=settings.gaps)
    scale, nominal = _calibration(job, slices, system, arriving, efficiencies, normalisation)
    return MeanScan(
        arriving=arriving,
        attenuation=np.ascontiguousarray(attenuation.cpu().numpy()),
        normalisation=normalisation,
        scale=scale,
        nominal=nominal,
    )


def counted(
    job: SimulateJob,
    scan: MeanScan,
    slices: ScannedSlices,
    settings: ScannerSettings,
    *,
    rows: Sequence[int],
    keys: Sequence[str],
    unit: float,
) -> ScannedDose:
    """One draw of events for each of ``keys``, which seed it, of the slice in that of the ``rows``."""
    chosen, events = list(rows), _events(job, keys, rows, scan)
    return ScannedDose(
        origin=f"the scan of {job.subject!r}",
        subject=job.subject,
        dose=job.dose,
        activity_units=KBQ_PER_ML if job.standard_scan else RELATIVE_ACTIVITY,
        activity_per_phantom_unit=unit,
        lineage={**slices.lineage, "projector": settings.projector},
        key=list(keys),
        attenuation=scan.attenuation[chosen],
        normalisation=scan.normalisation,
        counts_per_activity=scan.scale[chosen],
        nominal_counts=None if scan.nominal is None else scan.nominal[chosen],
        achieved_counts=events["prompts"].sum(axis=(1, 2), dtype=np.int64),
        **events,
        **modelled_background(events, scan.normalisation, window=job.acquisition.randoms_window),
    )


def activity_unit(job: SimulateJob) -> float:
    """Image units per unit of the phantom: kBq/ml at the start of the standard scan, or 1."""
    if job.acquisition.calibration is None:
        return 1.0
    calibration, standard, grey_matter = job.calibration
    half_life_minutes = job.acquisition.half_life_minutes
    return (
        grey_matter_kbq_per_ml(standard, calibration, half_life_minutes=half_life_minutes) / grey_matter
    )


def _require_size(slices: ScannedSlices, system: Projector) -> None:
    found = tuple(slices.mu_per_cm.shape[1:])
    if found != system.image_shape:
        raise InputError(
            f"{slices.origin}: slices are {found}, but scanner.image_pixels asks for "
            f"{system.image_shape}; make the slices again."
        )


def _arriving(
    slices: ScannedSlices,
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
    activity = torch.from_numpy(slices.activity).to(device)
    if settings.data_refinement > 1:
        fine_activity, mu_per_cm = (torch.from_numpy(each).to(device) for each in slices.finer)
        activity, system = fine_activity, data_projector(settings, device)
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
    slices: ScannedSlices,
    system: Projector,
    arriving: np.ndarray,
    efficiencies: np.ndarray,
    normalisation: np.ndarray,
) -> tuple[np.ndarray, np.ndarray | None]:
    """Recorded trues per arriving pair (slice,), and the nominal counts where these are given.

    Nominal counts include those lost in gaps. With a scan, images of every dose show the activity of
    the standard scan, whatever was injected.
    """
    settings, scan = job.scanner, job.protocol.scan
    if scan is None:
        counts = _nominal_counts(job, slices)
        trues = (1 - job.acquisition.scatter_fraction) * (1 - job.acquisition.randoms_fraction) * counts
        return counts_per_activity(arriving * efficiencies, trues), counts
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
    return scale, None


def _nominal_counts(job: SimulateJob, slices: ScannedSlices) -> np.ndarray:
    """Nominal counts (slice,); the slices of one rotated volume belong to one scan."""
    n_slices, counts = image_grid(job.scanner).n_slices, []
    for key, rotation in zip(slices.key, slices.rotation, strict=True):
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
    job: SimulateJob, keys: Sequence[str], rows: Sequence[int], scan: MeanScan
) -> dict[str, np.ndarray]:
    """Events of all ``keys``, and the expectations behind them, each (key, ...)."""
    kernel = scatter_kernel(scanner_geometry(job.scanner), fwhm_mm=job.acquisition.scatter_fwhm_mm)
    drawn: list[dict[str, float | np.ndarray]] = []
    for row, named in groupby(zip(keys, rows, strict=True), key=itemgetter(1)):
        expected = expected_events(
            scan.arriving[row],
            scan.normalisation,
            counts_per_activity=scan.scale[row],
            scatter_kernel=kernel,
            scatter_fraction=job.acquisition.scatter_fraction,
            randoms_per_coincidence=_randoms_per_coincidence(job),
        )
        for key, _ in named:
            drawn.append(
                {
                    "expected_trues": expected.total_trues,
                    "expected_scattered": expected.total_scattered,
                    "expected_randoms": expected.total_randoms,
                    **({} if expected.scatter is None else {"scatter": expected.scatter}),
                    **draw_events(expected, _generators(job, key)),
                }
            )
    return {name: np.stack([each[name] for each in drawn]) for name in drawn[0]}


def _generators(job: SimulateJob, key: str) -> Callable[[str], np.random.Generator]:
    """The generator of each kind of event of one slice."""
    return lambda what: numpy_rng(job.study_seed, what, job.dose, key)
