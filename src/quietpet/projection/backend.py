"""What an engine of the system model says of itself: how it projects, and whether it works here."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from quietpet.config.scanner import ScannerSettings
from quietpet.geometry.grid import ImageGrid
from quietpet.geometry.scanner import ScannerGeometry

if TYPE_CHECKING:
    import torch

    from quietpet.projection.protocol import Projector


def _always() -> bool:
    return True


def _no_fault() -> str | None:
    return None


@dataclass(frozen=True, kw_only=True)
class Backend:
    """One engine, a file of :mod:`quietpet.projection.backends`.

    ``projector`` makes the projector of all views, for slices, and alone imports torch. ``osem`` is the
    OSEM for it, as "module:function" below the package; the default needs the protocol of projectors
    alone. ``slices_per_batch`` are the slices that it reconstructs together.

    ``program`` is what sentences call it, and ``remedy`` what helps where it is missing. ``installed``
    is asked at every start; ``fault`` tries it and says in a few words why it does not work, None if it
    does. With ``automatic``, ``scanner.projector: auto`` takes it wherever it works. ``versions`` are
    those of programs behind it that are no Python packages.
    """

    projector: Callable[[ScannerSettings, ScannerGeometry, ImageGrid, torch.device], Projector]
    osem: str = "recon.osem:osem"
    slices_per_batch: int = 50
    program: str
    remedy: str = "set scanner.projector to 'embedded'"
    installed: Callable[[], bool] = _always
    fault: Callable[[], str | None] = _no_fault
    automatic: bool = False
    versions: Callable[[], dict[str, str]] = dict

    @property
    def osem_module(self) -> str:
        """Module of ``osem``, below the package."""
        return self.osem.partition(":")[0]
