"""The embedded projector: an explicit system matrix, batched and differentiable.

Why a stored sparse matrix and no lines traced on the fly: for a head, a batch of slices shares one pass
over it, tens of times as fast as ASTRA's traced projectors slice by slice, at the same error against
ellipses of 0.3 to 0.4 % (``benchmarks/projectors.py``). That took no float16 weights.
"""

from __future__ import annotations

import functools

import numpy as np
import torch

from quietpet.geometry.grid import ImageGrid
from quietpet.geometry.michelogram import segments
from quietpet.geometry.scanner import ScannerGeometry
from quietpet.projection.axial_layout import axial_layout
from quietpet.projection.oblique import ObliqueMap, axial_stretch, entry_drifts
from quietpet.projection.sparse_map import SparseMap
from quietpet.projection.system_matrix import system_matrix


class EmbeddedProjector:
    """A :class:`~quietpet.projection.protocol.Projector` of an explicit system matrix.

    Build it with :func:`embedded_projector` or :func:`embedded_projector_3d`.
    """

    def __init__(self, system: SparseMap | ObliqueMap, *, views: range) -> None:
        self.views = views
        self.image_shape = system.source_shape
        self.sinogram_shape = system.target_shape
        self._system = system
        # Not functools.cache, which would keep this projector alive: its maps are large.
        self._subsets: dict[tuple[int, int], EmbeddedProjector] = {}

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        """Project images (..., [z,] y, x) to sinograms, in units of the pixel size."""
        return self._system(image)

    def adjoint(self, sinogram: torch.Tensor) -> torch.Tensor:
        """Back-project sinograms (..., [plane,] view, bin) to images."""
        return self._system.adjoint(sinogram)

    def subset(self, index: int, of: int) -> EmbeddedProjector:
        """The projector of every ``of``-th view, from view ``index``; built once and kept."""
        if not 0 <= index < of <= len(self.views):
            raise ValueError(f"subset {index} of {of} does not exist for {len(self.views)} views")
        if (index, of) not in self._subsets:
            self._subsets[index, of] = self._build_subset(index, of)
        return self._subsets[index, of]

    @property
    def seen_bins(self) -> slice:
        """The bins between the outermost that meet the image in some view; the others are always 0."""
        n_bins = self.sinogram_shape[-1]
        occupied = np.flatnonzero(np.diff(self._system.matrix.indptr).reshape(-1, n_bins).any(axis=0))
        return slice(int(occupied[0]), int(occupied[-1]) + 1)

    def trimmed(self) -> EmbeddedProjector:
        """The projector of the seen bins alone, itself if these are all; built once and kept."""
        return self._trimmed

    @functools.cached_property
    def _trimmed(self) -> EmbeddedProjector:
        seen = self.seen_bins
        return (
            self if len(range(*seen.indices(n := self.sinogram_shape[-1]))) == n else self.of_bins(seen)
        )

    def of_bins(self, bins: slice) -> EmbeddedProjector:
        """The projector of some bins of every view."""
        return self._select(range(len(self.views)), bins)

    def _build_subset(self, index: int, of: int) -> EmbeddedProjector:
        return self._select(range(index, len(self.views), of), slice(0, self.sinogram_shape[-1]))

    def _select(self, view_indices: range, bins: slice) -> EmbeddedProjector:
        """The projector of some of the own views and bins."""
        lines = np.arange(self._system.matrix.shape[0]).reshape(self.sinogram_shape[-2:])
        return EmbeddedProjector(
            self._system.select(lines[view_indices, bins]),
            views=self.views[view_indices.start :: view_indices.step],
        )


_LAST: dict[tuple[ScannerGeometry, ImageGrid, int, str], EmbeddedProjector] = {}


def embedded_projector(
    scanner: ScannerGeometry, grid: ImageGrid, *, rays: int, device: torch.device | str = "cpu"
) -> EmbeddedProjector:
    """The direct-plane projector of all views, for slices (..., y, x).

    Takes half a second to build, with its subsets, so the last one is kept; it is forgotten before
    another is built, since each may hold a gigabyte.
    """
    wanted = (scanner, grid, rays, str(device))
    if wanted not in _LAST:
        forget_projector()
        _LAST[wanted] = _built(scanner, grid, rays=rays, device=device)
    return _LAST[wanted]


def forget_projector() -> None:
    """Keep no projector any longer."""
    _LAST.clear()


def _built(
    scanner: ScannerGeometry, grid: ImageGrid, *, rays: int, device: torch.device | str
) -> EmbeddedProjector:
    system = SparseMap(
        system_matrix(scanner, grid, rays=rays),
        source_shape=grid.shape[1:],
        target_shape=scanner.sinogram_shape,
        device=device,
    )
    return EmbeddedProjector(system, views=range(scanner.n_views))


def embedded_projector_3d(
    scanner: ScannerGeometry, grid: ImageGrid, *, rays: int, device: torch.device | str = "cpu"
) -> EmbeddedProjector:
    """The projector of all segments and views, for volumes (..., z, y, x) to (..., plane, view, bin).

    Raises:
        ValueError: the slices of ``grid`` do not fit the planes of the scanner.
    """
    matrix = system_matrix(scanner, grid, rays=rays)
    drifts = entry_drifts(matrix, scanner, grid)
    all_segments = segments(scanner)
    system = ObliqueMap(
        matrix,
        drifts,
        stretch=axial_stretch(scanner, all_segments).to(device),
        layout=axial_layout(
            all_segments,
            grid,
            ring_spacing_mm=scanner.ring_spacing_mm,
            largest_drift=float(np.abs(drifts).max()),
        ),
        image_shape=grid.shape[1:],
        n_views=scanner.n_views,
    )
    return EmbeddedProjector(system, views=range(scanner.n_views))
