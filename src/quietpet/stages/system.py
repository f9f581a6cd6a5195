"""The scanner, grid and projector that a job's settings ask for."""

from __future__ import annotations

import torch

from quietpet.config import ScannerSettings
from quietpet.geometry.grid import ImageGrid, scanner_grid
from quietpet.geometry.scanner import SCANNERS, ScannerGeometry
from quietpet.projection.embedded import embedded_projector
from quietpet.projection.protocol import Projector

PROJECTORS = {"embedded": embedded_projector}
"""Engines by the value of ``scanner.projector``; each builds a projector of all views."""


def scanner_geometry(settings: ScannerSettings) -> ScannerGeometry:
    """The scanner called ``settings.model``."""
    return SCANNERS[settings.model]()


def image_grid(settings: ScannerSettings) -> ImageGrid:
    """The grid on which this scanner's images are reconstructed."""
    return scanner_grid(scanner_geometry(settings), settings.image_pixels)


def projector(settings: ScannerSettings, device: torch.device) -> Projector:
    """The projector of the engine called ``settings.projector``."""
    return PROJECTORS[settings.projector](
        scanner_geometry(settings), image_grid(settings), rays=settings.rays, device=device
    )
