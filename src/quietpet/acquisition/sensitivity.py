"""What scales the expected prompts of a bin: attenuation, block gaps, detection efficiency."""

from __future__ import annotations

import numpy as np
import torch

from quietpet.geometry.scanner import ScannerGeometry
from quietpet.projection.protocol import Projector
from quietpet.units import MM_PER_CM


def attenuation_factors(
    mu_per_cm: torch.Tensor, projector: Projector, *, pixel_mm: float
) -> torch.Tensor:
    """Survival probability exp(-integral of mu) of photon pairs, (slice, view, bin).

    ``mu_per_cm`` (slice, y, x) is projected without point spread: attenuation acts along the line.
    """
    pixel_cm = pixel_mm / MM_PER_CM
    return torch.exp(-pixel_cm * projector.forward(mu_per_cm))


def bin_efficiencies(scanner: ScannerGeometry, *, spread: float, rng: np.random.Generator) -> np.ndarray:
    """Relative detection efficiency exp(-spread * U(0, 1)) of each bin, (view, bin), float32.

    The model of the FB-SEM simulation, with spread 1.
    """
    return np.exp(-spread * rng.uniform(size=scanner.sinogram_shape)).astype(np.float32)


def without_gaps(scanner: ScannerGeometry, efficiencies: np.ndarray) -> np.ndarray:
    """The efficiencies (view, bin) with 0 in the bins that end in a gap between blocks."""
    return np.where(scanner.gap_mask, np.float32(0), efficiencies)
