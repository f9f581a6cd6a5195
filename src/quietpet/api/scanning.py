"""Scan an object and reconstruct the scan."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from pydantic import ValidationError

from quietpet.api.arrays import image_stack, simulated_of, slice_names, slice_positions
from quietpet.config.domains import PHANTOM
from quietpet.config.doses import ReconstructionSettings
from quietpet.config.scanner import ScannerSettings
from quietpet.errors import InputError
from quietpet.files.phantoms import ScannedSlices
from quietpet.files.sinograms import Sinograms, sinograms_of
from quietpet.recon.slices import osem_images
from quietpet.recon.system import as_simulated, data_grid, decided, image_grid
from quietpet.runtime.device import compute_device
from quietpet.simulation.lower_dose import thinned
from quietpet.simulation.scan import scanned
from quietpet.study.mistakes import explain
from quietpet.study.root import Study
from quietpet.study.select_simulation import reconstruct_job, simulate_job, thin_job


@dataclass(frozen=True, kw_only=True, eq=False)
class Images:
    """Reconstructed slices: ``activity`` (slice, y, x), float32, in ``units``.

    ``keys`` are the names of the slices, ``pixel_mm`` is the side of a pixel.
    """

    activity: np.ndarray
    units: str
    pixel_mm: float
    keys: tuple[str, ...]


def simulate(
    study: Study,
    dose: str,
    activity: ArrayLike,
    mu_per_cm: ArrayLike,
    *,
    slice_mm: float | Sequence[float] = 0.0,
    subject: str = "object",
    keys: Sequence[str] | None = None,
    dataset: str = PHANTOM,
) -> Sinograms:
    """Scan an object at one of the study's doses, a thinned one included.

    ``activity`` and ``mu_per_cm`` are (slice, y, x), ``scanner.image_pixels`` wide; where
    ``scanner.data`` is "finer" they have twice as many pixels, of half the size. ``slice_mm`` is the
    distance of the slices from the middle of the axis. Noise is seeded by the study's seed, the dose and
    the ``keys`` of the slices, efficiencies of detection by the ``subject``. Of counts per volume a
    slice gets its share, as if all slices of the scanner were scanned.

    Raises InputError for names that the study lacks and for arrays that are no such images, ValueError
    for slices without activity where the dose is given by counts.
    """
    view = simulated_of(study, dataset, dose).study
    lower = dose in view.doses.thinned
    job = simulate_job(study, dataset=dataset, subject=subject, dose="standard" if lower else dose)
    settings = decided(job.scanner)
    slices = _slices(settings, activity, mu_per_cm, keys=keys, slice_mm=slice_mm, subject=subject)
    scan = scanned(job, slices, settings, compute_device(), unit=1.0)
    if lower:
        scan = thinned(thin_job(study, dataset=dataset, subject=subject, dose=dose), scan)
    return sinograms_of(scan)


def reconstruct(
    study: Study,
    sinograms: Sinograms,
    *,
    psf_fwhm_mm: float | None = None,
    iterations: int | None = None,
    subsets: int | None = None,
    post_fwhm_mm: float | None = None,
    dataset: str = PHANTOM,
) -> Images:
    """OSEM images of a scan, as the study reconstructs its dose; numbers given here replace the study's.

    Raises InputError for numbers out of range and for images that are brightest outside the object,
    ValueError for more subsets than views.
    """
    simulated_of(study, dataset, sinograms.dose)
    job = reconstruct_job(study, dataset=dataset, subject="", dose=sinograms.dose)
    given = {
        "psf_fwhm_mm": psf_fwhm_mm,
        "iterations": iterations,
        "subsets": subsets,
        "post_fwhm_mm": post_fwhm_mm,
    }
    protocol = _with(job.protocol, {name: each for name, each in given.items() if each is not None})
    settings = as_simulated(job.scanner, sinograms.lineage, origin=sinograms.origin)
    images = osem_images(sinograms, protocol, settings, compute_device(), label=str(sinograms.origin))
    return Images(
        activity=images,
        units=sinograms.activity_units,
        pixel_mm=image_grid(settings).pixel_mm,
        keys=tuple(sinograms.keys),
    )


def _slices(
    settings: ScannerSettings,
    activity: ArrayLike,
    mu_per_cm: ArrayLike,
    *,
    keys: Sequence[str] | None,
    slice_mm: float | Sequence[float],
    subject: str,
) -> ScannedSlices:
    """What a scan needs of the object, all slices at one angle."""
    images = image_stack("activity", activity)
    maps = {"activity": images, "mu_per_cm": image_stack("mu_per_cm", mu_per_cm, images.shape)}
    side = data_grid(settings).n_pixels
    if images.shape[-1] != side:
        raise InputError(
            f"activity: images of {images.shape[-1]} pixels, but scanner.image_pixels and scanner.data "
            f"ask for {side}."
        )
    for name, each in maps.items():
        if each.min() < 0:
            raise InputError(f"{name}: its least value is {each.min():g}; there is none below 0.")
    names, step = slice_names(keys, len(images), subject=subject), settings.data_refinement
    # Each pixel of the model has its centre in common with every step-th finer one.
    coarse = {name: np.ascontiguousarray(each[:, ::step, ::step]) for name, each in maps.items()}
    return ScannedSlices(
        key=names,
        rotation=np.zeros(len(names), np.int64),
        slice_mm=slice_positions(slice_mm, len(names)),
        lineage={"data_source": "arrays"},
        activity=coarse["activity"],
        mu_per_cm=coarse["mu_per_cm"],
        fine_activity=maps["activity"] if step > 1 else None,
        fine_mu_per_cm=maps["mu_per_cm"] if step > 1 else None,
    )


def _with(protocol: ReconstructionSettings, given: dict[str, float]) -> ReconstructionSettings:
    """The ``protocol`` with the ``given`` numbers in place of its own."""
    try:
        return ReconstructionSettings.model_validate({**protocol.model_dump(), **given})
    except ValidationError as error:
        raise InputError(explain(error)) from None
