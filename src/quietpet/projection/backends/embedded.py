"""The embedded engine: a stored system matrix, on CPUs and GPUs, there wherever torch is."""

from __future__ import annotations

from typing import TYPE_CHECKING

from quietpet.config.scanner import ScannerSettings
from quietpet.geometry.grid import ImageGrid
from quietpet.geometry.scanner import ScannerGeometry
from quietpet.projection.backend import Backend

if TYPE_CHECKING:
    import torch

    from quietpet.projection.protocol import Projector


def projector(
    settings: ScannerSettings, scanner: ScannerGeometry, grid: ImageGrid, device: torch.device
) -> Projector:
    """The direct-plane projector with ``settings.rays`` per bin."""
    from quietpet.projection.embedded import embedded_projector

    return embedded_projector(scanner, grid, rays=settings.rays, device=device)


BACKEND = Backend(
    projector=projector,
    # Slices share passes over the matrix: 50 amortise them, and are 150 MB of sinograms.
    slices_per_batch=50,
    program="the embedded projector",
)
