"""The scanner, grid and projector that a job's settings ask for."""

from __future__ import annotations

import os

import torch

from quietpet.config import ScannerSettings
from quietpet.errors import InputError
from quietpet.geometry.grid import ImageGrid, mmr_grid
from quietpet.geometry.scanner import SCANNERS, ScannerGeometry
from quietpet.projection.embedded import embedded_projector
from quietpet.projection.protocol import Projector

DEVICE_VARIABLE = "QUIETPET_DEVICE"


def compute_device() -> torch.device:
    """The device named by QUIETPET_DEVICE, else a GPU when there is one, else the CPU."""
    name = os.environ.get(DEVICE_VARIABLE) or ("cuda" if torch.cuda.is_available() else "cpu")
    if name.startswith("cuda") and not torch.cuda.is_available():
        raise InputError(f"{DEVICE_VARIABLE}={name}: this torch sees no GPU; unset it or choose 'cpu'.")
    return torch.device(name)


def scanner_geometry(settings: ScannerSettings) -> ScannerGeometry:
    """The scanner called ``settings.model``."""
    return SCANNERS[settings.model]()


def image_grid(settings: ScannerSettings) -> ImageGrid:
    """The grid on which this scanner's images are reconstructed."""
    return mmr_grid(settings.image_pixels)


def projector(settings: ScannerSettings, device: torch.device) -> Projector:
    """The projector of the engine called ``settings.projector``."""
    return embedded_projector(
        scanner_geometry(settings), image_grid(settings), rays=settings.rays, device=device
    )
