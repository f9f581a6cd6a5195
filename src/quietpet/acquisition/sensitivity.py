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


def normalisation_factors(
    scanner: ScannerGeometry, *, gaps: bool, efficiency_spread: float, rng: np.random.Generator
) -> np.ndarray:
    """Relative efficiency of each bin, (view, bin), float32: 0 in block gaps.

    Efficiencies are exp(-efficiency_spread * U(0, 1)), the model of the FB-SEM simulation.
    """
    uniform = rng.uniform(size=scanner.sinogram_shape)
    efficiency = np.exp(-efficiency_spread * uniform)
    return np.where(scanner.gap_mask & gaps, 0.0, efficiency).astype(np.float32)
