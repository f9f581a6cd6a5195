"""What a projector is. Everything above (acquisition model, OSEM, networks) knows only this."""

from __future__ import annotations

from typing import Protocol

import torch


class Projector(Protocol):
    """A linear map from images (..., y, x) to sinograms (..., view, bin), and its exact adjoint.

    Values are line integrals in units of the pixel size. Leading axes are slices, projected together;
    those of volumes are (..., z, y, x) and (..., plane, view, bin).
    """

    @property
    def image_shape(self) -> tuple[int, ...]:
        """([z,] y, x)."""

    @property
    def sinogram_shape(self) -> tuple[int, ...]:
        """([plane,] view, bin)."""

    @property
    def views(self) -> range:
        """Indices, among all views of the scanner, of the views this projector covers."""

    @property
    def seen_bins(self) -> slice:
        """Bins outside this range meet no pixel in any view."""

    def trimmed(self) -> Projector:
        """The projector of the seen bins alone, which spares its users the work on empty ones.

        An engine that cannot leave bins out sees all of them and returns itself.
        """

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        """Project images (..., y, x) to sinograms (..., view, bin)."""

    def adjoint(self, sinogram: torch.Tensor) -> torch.Tensor:
        """Back-project sinograms (..., view, bin) to images (..., y, x)."""

    def subset(self, index: int, of: int) -> Projector:
        """The projector of the views index, index + of, index + 2 of, ...

        ``of`` need not divide the number of views: the first subsets are then one view larger.
        """
