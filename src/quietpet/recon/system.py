"""The scanner, grid, projector and OSEM that a job's settings ask for."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from pathlib import Path

import torch

from quietpet.config.scanner import AUTO, ScannerSettings
from quietpet.errors import InputError
from quietpet.files.lineage import Lineage
from quietpet.files.text import read_json
from quietpet.geometry.grid import ImageGrid, scanner_grid
from quietpet.geometry.scanner import SCANNERS, ScannerGeometry
from quietpet.projection.backends import BACKENDS
from quietpet.projection.engines import available_engine, require_installed
from quietpet.projection.protocol import Projector


def scanner_geometry(settings: ScannerSettings) -> ScannerGeometry:
    """The scanner called ``settings.model``."""
    return SCANNERS[settings.model]()


def image_grid(settings: ScannerSettings) -> ImageGrid:
    """The grid on which this scanner's images are reconstructed."""
    return scanner_grid(scanner_geometry(settings), settings.image_pixels)


def projector(settings: ScannerSettings, device: torch.device) -> Projector:
    """The projector of the engine called ``settings.projector``."""
    return _projector(settings, image_grid(settings), device)


def data_grid(settings: ScannerSettings) -> ImageGrid:
    """The grid of the objects that are measured, on which ``settings.data`` decides."""
    return image_grid(settings).refined(settings.data_refinement)


def data_projector(settings: ScannerSettings, device: torch.device) -> Projector:
    """The projector that measures objects on :func:`data_grid`, in units of its pixels."""
    of_data = settings.model_copy(update={"rays": settings.data_rays})
    return _projector(of_data, data_grid(settings), device)


def reconstruction(settings: ScannerSettings) -> Callable[..., torch.Tensor]:
    """OSEM as the engine called ``settings.projector`` computes it; called like ``recon.osem.osem``."""
    module, _, function = BACKENDS[decided(settings).projector].osem.partition(":")
    return getattr(importlib.import_module(f"quietpet.{module}"), function)


def slices_per_batch(settings: ScannerSettings) -> int:
    """Slices that the engine called ``settings.projector`` reconstructs together."""
    return BACKENDS[decided(settings).projector].slices_per_batch


def engine_versions(projector: str) -> dict[str, str]:
    """Versions of the programs behind an engine that are no Python packages."""
    return BACKENDS[projector].versions()


def decided(settings: ScannerSettings, decision: Path | None = None) -> ScannerSettings:
    """The settings with ``auto`` replaced by the engine in the file ``decision``.

    Without a file, what is available here decides.

    Raises:
        InputError: the engine is asked for by its name, and absent.
    """
    if settings.projector == AUTO:
        chosen = read_json(decision)["projector"] if decision else available_engine()[0]
        settings = settings.model_copy(update={"projector": chosen})
    require_installed(settings.projector)
    return settings


def as_simulated(settings: ScannerSettings, lineage: Lineage, *, origin: Path | str) -> ScannerSettings:
    """The settings with the engine that simulated the sinograms of ``origin``: one study, one engine.

    Raises:
        InputError: the settings name another engine, or the engine is absent here.
    """
    simulated = lineage["projector"]
    if settings.projector not in (AUTO, simulated):
        raise InputError(
            f"{origin}: was simulated with the projector {simulated!r}, but scanner.projector = "
            f"{settings.projector!r}; simulate it again."
        )
    return decided(settings.model_copy(update={"projector": simulated}))


def _projector(settings: ScannerSettings, grid: ImageGrid, device: torch.device) -> Projector:
    backend = BACKENDS[decided(settings).projector]
    return backend.projector(settings, scanner_geometry(settings), grid, device)
