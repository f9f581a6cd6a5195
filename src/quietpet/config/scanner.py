"""The simulated scanner and the engine of its system model."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field

from quietpet.config.section import NonNegative, OneOf, Section
from quietpet.geometry.scanner import SCANNERS

ScannerModel = Annotated[str, OneOf(tuple(SCANNERS))]

AUTO = "auto"
PROJECTORS = tuple(
    sorted(path.stem for path in (Path(__file__).parents[1] / "projection/backends").glob("[!_]*.py"))
)
"""Engines of the system model: every file of ``quietpet.projection.backends``. Listed, not imported."""

ProjectorChoice = Annotated[str, OneOf((*PROJECTORS, AUTO))]
StirProjector = Literal["ray_tracing", "parallelproj"]


DATA_RAYS = 10
"""Rays per bin of ``data: finer``: STIR's ten-ray sinograms are those of a bin's width to 1e-5."""


class ScannerSettings(Section):
    """The simulated scanner and its system model."""

    model: ScannerModel = Field("siemens_mmr", description="geometry, from quietpet/geometry/scanner.py")
    projector: ProjectorChoice = Field(
        "embedded",
        description="engine of the system model; auto: SIRF if it can be imported, decided once for the "
        "study and written down",
    )
    stir_projector: StirProjector = Field(
        "ray_tracing",
        description="with SIRF: STIR's ray-tracing matrix with this many rays, or Parallelproj, whose "
        "OSEM makes the updates of the embedded engine",
    )
    rays: int = Field(
        1, ge=1, le=64, description="parallel rays averaged over the width of a bin; 1: Siddon's matrix"
    )
    data: Literal["same", "finer"] = Field(
        "same",
        description="of what simulated data are made. same: of the model's own pixels and rays, as in "
        "the published simulation (an inverse crime); finer: of pixels of half the size, with 10 rays "
        "per bin, while the model keeps its own",
    )
    image_pixels: int = Field(
        128,
        ge=32,
        multiple_of=2,
        description="side of the reconstructed square, at most one pixel per bin; it must hold the head",
    )
    gaps: bool = Field(True, description="leave the bins of the block gaps empty, in data and model")
    efficiency_spread: NonNegative = Field(
        1.0, description="bin efficiencies exp(-spread * U(0,1)), known to the model; 0: all equal"
    )

    @property
    def data_refinement(self) -> int:
        """Side of a pixel of the model / side of a pixel that data are made of."""
        return 2 if self.data == "finer" else 1

    @property
    def data_rays(self) -> int:
        """Rays per bin of which data are made."""
        return DATA_RAYS if self.data == "finer" else self.rays
