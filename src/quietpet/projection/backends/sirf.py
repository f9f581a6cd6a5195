"""STIR's projectors and its likelihood, through SIRF, where it is installed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from quietpet.config.scanner import ScannerSettings
from quietpet.geometry.grid import ImageGrid
from quietpet.geometry.scanner import ScannerGeometry
from quietpet.projection.backend import Backend
from quietpet.projection.sirf_installation import REMEDY, sirf_fault, sirf_is_installed

if TYPE_CHECKING:
    import torch

    from quietpet.projection.protocol import Projector


def projector(
    settings: ScannerSettings, scanner: ScannerGeometry, grid: ImageGrid, device: torch.device
) -> Projector:
    """STIR's projector of direct planes: ``settings.stir_projector``, with ``settings.rays`` per bin."""
    from quietpet.projection.sirf import sirf_projector

    return sirf_projector(
        scanner, grid, rays=settings.rays, device=device, stir_projector=settings.stir_projector
    )


def versions() -> dict[str, str]:
    """Those of SIRF and STIR."""
    from quietpet.projection.sirf import engine

    return engine().versions


BACKEND = Backend(
    projector=projector,
    osem="recon.sirf_osem:sirf_osem",
    slices_per_batch=1,  # seconds for each, and nothing gained from more
    program="SIRF",
    remedy=REMEDY,
    installed=sirf_is_installed,
    fault=sirf_fault,
    automatic=True,
    versions=versions,
)
