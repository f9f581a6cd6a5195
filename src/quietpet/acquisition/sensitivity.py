"""What scales the expected prompts of a bin: attenuation, gaps, detection efficiency, calibration."""

from __future__ import annotations

import numpy as np
import torch

from quietpet.geometry.grid import ImageGrid
from quietpet.geometry.scanner import ScannerGeometry
from quietpet.projection.protocol import Projector
from quietpet.units import MM3_PER_ML, MM_PER_CM, SECONDS_PER_MINUTE

AXIS_RADIUS_MM = 20.0
"""Radius of the disc that stands for a source on the axis."""


def attenuation_factors(
    mu_per_cm: torch.Tensor, projector: Projector, *, pixel_mm: float
) -> torch.Tensor:
    """Survival probability exp(-integral of mu) of photon pairs, (slice, view, bin).

    ``mu_per_cm`` (slice, y, x) is projected without point spread: attenuation acts along the line.
    """
    pixel_cm = pixel_mm / MM_PER_CM
    return torch.exp(-pixel_cm * projector.forward(mu_per_cm))


def arriving_pairs(
    activity: torch.Tensor, attenuation: torch.Tensor, projector: Projector, *, refinement: int = 1
) -> np.ndarray:
    """Photon pairs that reach the detectors: attenuated line integrals (slice, view, bin) of activity.

    ``activity`` (slice, y, x) is blurred by the resolution already; ``attenuation`` are the factors of
    its lines. Integrals are in units of the model's pixel, which is ``refinement`` of the projector's.
    """
    integrals = (attenuation * projector.forward(activity)).cpu().numpy()
    return integrals / np.float32(refinement)


def bin_efficiencies(scanner: ScannerGeometry, *, spread: float, rng: np.random.Generator) -> np.ndarray:
    """Relative detection efficiency exp(-spread * U(0, 1)) of each bin, (view, bin), float32.

    The model of the FB-SEM simulation, with spread 1.
    """
    return np.exp(-spread * rng.uniform(size=scanner.sinogram_shape)).astype(np.float32)


def without_gaps(scanner: ScannerGeometry, efficiencies: np.ndarray) -> np.ndarray:
    """The efficiencies (view, bin) with 0 in the bins that end in a gap between blocks."""
    return np.where(scanner.gap_mask, np.float32(0), efficiencies)


def normalisation_of(scanner: ScannerGeometry, efficiencies: np.ndarray, *, gaps: bool) -> np.ndarray:
    """The efficiencies (view, bin) with which pairs are recorded: none in the ``gaps``, if there are."""
    return without_gaps(scanner, efficiencies) if gaps else efficiencies


def axial_acceptance(scanner: ScannerGeometry, positions_mm: np.ndarray) -> np.ndarray:
    """Sensitivity at each distance from the middle of the axis / its mean over the axial field of view.

    The share of the photon pairs of a point on the axis that end on the cylinder of detectors with an
    accepted ring difference: sin(theta), where theta is the steepest angle to the transaxial plane. It
    falls almost linearly from the middle to the ends, as measured axial profiles do (NEMA NU 2).
    """
    half_length_mm = scanner.n_rings * scanner.ring_spacing_mm / 2
    steps_mm = scanner.ring_spacing_mm / 100
    whole_mm = np.arange(steps_mm / 2 - half_length_mm, half_length_mm, steps_mm)
    return _accepted_share(scanner, positions_mm) / _accepted_share(scanner, whole_mm).mean()


def _accepted_share(scanner: ScannerGeometry, positions_mm: np.ndarray) -> np.ndarray:
    half_length_mm = scanner.n_rings * scanner.ring_spacing_mm / 2
    within_mm = np.clip(half_length_mm - np.abs(positions_mm), 0.0, None)
    within_mm = np.minimum(within_mm, scanner.max_ring_difference * scanner.ring_spacing_mm / 2)
    return within_mm / np.hypot(within_mm, scanner.effective_radius_mm)


def counts_per_kbq_per_ml(
    projector: Projector,
    normalisation: np.ndarray,
    grid: ImageGrid,
    *,
    sensitivity_cps_per_kbq: float,
    minutes: float,
) -> float:
    """Recorded trues per bin of a line integral 1 (in pixels) of activity 1 kBq/ml.

    Such that a source on the axis, without attenuation, gives ``sensitivity_cps_per_kbq`` recorded trues
    per second and kBq in the slice: that is the mean over the axial field of view, to be multiplied by
    the :func:`axial_acceptance` of each slice. ``normalisation`` (view, bin) is 0 in gaps; ``minutes``
    are those of undecayed activity.
    """
    disc = grid.within_radius(AXIS_RADIUS_MM)
    lines = projector.forward(torch.from_numpy(disc.astype(np.float32))[None])[0].cpu().numpy()
    response = (normalisation * lines).sum(dtype=np.float64) / disc.sum()
    pixel_ml = grid.pixel_mm**2 * grid.slice_mm / MM3_PER_ML
    return sensitivity_cps_per_kbq * pixel_ml * minutes * SECONDS_PER_MINUTE / response


def calibrated_sensitivity(
    scanner: ScannerGeometry,
    projector: Projector,
    normalisation: np.ndarray,
    grid: ImageGrid,
    *,
    slice_mm: np.ndarray,
    sensitivity_cps_per_kbq: float,
    minutes: float,
    activity: float = 1.0,
) -> np.ndarray:
    """Recorded trues per line integral of 1 in slices at ``slice_mm`` from the middle, (slice,).

    :func:`counts_per_kbq_per_ml` times the :func:`axial_acceptance` of each slice, where a value of 1
    in images stands for ``activity`` [kBq/ml].
    """
    on_average = activity * counts_per_kbq_per_ml(
        projector,
        normalisation,
        grid,
        sensitivity_cps_per_kbq=sensitivity_cps_per_kbq,
        minutes=minutes,
    )
    return on_average * axial_acceptance(scanner, slice_mm)
