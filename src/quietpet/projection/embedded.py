"""The embedded projector: sparse matrix products in torch, on CPU or GPU, batched and differentiable."""

from __future__ import annotations

import functools

import numpy as np
import torch

from quietpet.geometry.grid import ImageGrid
from quietpet.geometry.scanner import ScannerGeometry
from quietpet.projection.sparse_map import SparseMap
from quietpet.projection.system_matrix import system_matrix


class EmbeddedProjector:
    """Direct-plane :class:`~quietpet.projection.protocol.Projector` of an explicit system matrix.

    Build it with :func:`embedded_projector`.
    """

    def __init__(self, system: SparseMap, *, views: range) -> None:
        self.views = views
        self.image_shape = system.source_shape
        self.sinogram_shape = system.target_shape
        self._system = system
        self._subset = functools.cache(self._build_subset)

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        """Project images (..., y, x) to sinograms (..., view, bin), in units of the pixel size."""
        return self._system(image)

    def adjoint(self, sinogram: torch.Tensor) -> torch.Tensor:
        """Back-project sinograms (..., view, bin) to images (..., y, x)."""
        return self._system.adjoint(sinogram)

    def subset(self, index: int, of: int) -> EmbeddedProjector:
        """The projector of every ``of``-th view, from view ``index``; built once and kept."""
        if not 0 <= index < of <= len(self.views):
            raise ValueError(f"subset {index} of {of} does not exist for {len(self.views)} views")
        return self._subset(index, of)

    @property
    def seen_bins(self) -> slice:
        """The bins between the outermost that meet the image in some view; the others are always 0."""
        n_bins = self.sinogram_shape[1]
        occupied = np.flatnonzero(np.diff(self._system.matrix.indptr).reshape(-1, n_bins).any(axis=0))
        return slice(int(occupied[0]), int(occupied[-1]) + 1)

    def trimmed(self) -> EmbeddedProjector:
        """The projector of the seen bins alone; built once and kept."""
        return self._trimmed

    @functools.cached_property
    def _trimmed(self) -> EmbeddedProjector:
        return self._select(range(len(self.views)), self.seen_bins)

    def _build_subset(self, index: int, of: int) -> EmbeddedProjector:
        n_views, n_bins = self.sinogram_shape
        return self._select(range(index, n_views, of), slice(0, n_bins))

    def _select(self, view_indices: range, bins: slice) -> EmbeddedProjector:
        """The projector of some of the own views and bins."""
        rows = np.arange(self._system.matrix.shape[0]).reshape(self.sinogram_shape)
        chosen = rows[view_indices, bins]
        system = SparseMap(
            self._system.matrix[chosen.ravel()],
            source_shape=self.image_shape,
            target_shape=chosen.shape,
            device=self._system.device,
        )
        return EmbeddedProjector(system, views=self.views[view_indices.start :: view_indices.step])


def embedded_projector(
    scanner: ScannerGeometry, grid: ImageGrid, *, rays: int, device: torch.device | str = "cpu"
) -> EmbeddedProjector:
    """The embedded projector of all views; takes about a second to build, so build it once per job."""
    system = SparseMap(
        system_matrix(scanner, grid, rays=rays),
        source_shape=grid.shape[1:],
        target_shape=scanner.sinogram_shape,
        device=device,
    )
    return EmbeddedProjector(system, views=range(scanner.n_views))
