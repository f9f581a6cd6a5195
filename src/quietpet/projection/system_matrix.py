"""The direct-plane system matrix: intersection lengths of pixels with rays, in closed form.

A line at angle phi and perpendicular distance t from the centre of a unit square cuts it in a chord
whose length is a trapezoid in t: Siddon's length (Med Phys 12:252, 1985) without tracing the ray. Each
bin averages ``rays`` parallel lines spread evenly over its width, as STIR's ray-tracing matrix does.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import sparse

from quietpet.geometry.grid import ImageGrid
from quietpet.geometry.scanner import ScannerGeometry


@dataclass(frozen=True, kw_only=True)
class _Pixels:
    """The pixels of the reconstructed disc: positions in pixel units and column numbers."""

    x: np.ndarray
    y: np.ndarray
    column: np.ndarray


def system_matrix(scanner: ScannerGeometry, grid: ImageGrid, *, rays: int) -> sparse.csr_array:
    """Matrix ``(view * bin, y * x)`` of mean intersection lengths in units of the pixel size, float32.

    Pixels outside the inscribed disc have empty columns. Of symmetric views, only those in [0, 45]
    degrees are computed; exchanging x and y, and turning by 90 degrees, gives the others.
    """
    pixels = _disc(grid)
    if not scanner.views_are_symmetric:
        views = [
            _view_block(scanner, grid, pixels, view=view, rays=rays) for view in range(scanner.n_views)
        ]
        return sparse.csr_array(sparse.vstack(views, "csr"))
    quarter = scanner.n_views // 2
    by_view: dict[int, sparse.csr_array] = {}
    for view in range(quarter // 2 + 1):
        block = _view_block(scanner, grid, pixels, view=view, rays=rays)
        transposed = _permuted(block, grid, pixels, x_from=pixels.y, y_from=pixels.x)
        by_view |= {view: block, quarter - view: transposed}
    for view in range(quarter):
        by_view[view + quarter] = _permuted(
            by_view[view], grid, pixels, x_from=-pixels.y, y_from=pixels.x
        )
    return sparse.csr_array(sparse.vstack([by_view[view] for view in range(scanner.n_views)], "csr"))


def chord_length(distance: np.ndarray, angle_rad: float) -> np.ndarray:
    """Length of a line inside a unit square, at perpendicular ``distance`` from its centre.

    ``angle_rad`` is the direction of the normal of the line.
    """
    cosine, sine = abs(np.cos(angle_rad)), abs(np.sin(angle_rad))
    long_side, short_side = max(cosine, sine), max(min(cosine, sine), 1e-12)
    rising = ((cosine + sine) / 2 - np.abs(distance)) / short_side
    return np.clip(rising, 0.0, 1.0) / long_side


def _disc(grid: ImageGrid) -> _Pixels:
    row, column = np.nonzero(grid.within_radius((grid.centre_index - 1) * grid.pixel_mm))
    return _Pixels(
        x=(column - grid.centre_index),
        y=(row - grid.centre_index),
        column=row * grid.n_pixels + column,
    )


def _view_block(
    scanner: ScannerGeometry, grid: ImageGrid, pixels: _Pixels, *, view: int, rays: int
) -> sparse.csr_array:
    """Rows of one view: (bin, y * x)."""
    angle = scanner.view_angles_rad[view]
    offset = scanner.bin_offsets_mm / grid.pixel_mm
    width = scanner.bin_widths_mm / grid.pixel_mm
    within_bin = (np.arange(rays) - (rays - 1) / 2) / rays

    centre = pixels.x * np.cos(angle) + pixels.y * np.sin(angle)
    half_shadow = (abs(np.cos(angle)) + abs(np.sin(angle))) / 2
    first = np.searchsorted(offset + width / 2, centre - half_shadow)
    last = np.searchsorted(offset - width / 2, centre + half_shadow)

    entries = []
    for step in range(int((last - first).max())):
        bins = first + step
        touched = np.flatnonzero(bins < last)
        bins = bins[touched]
        length = np.zeros(touched.size)
        for shift in within_bin:
            length += chord_length(offset[bins] + shift * width[bins] - centre[touched], angle)
        hit = length > 0
        entries.append((bins[hit], pixels.column[touched[hit]], length[hit] / rays))
    rows, columns, lengths = (np.concatenate(parts) for parts in zip(*entries, strict=True))
    shape = (scanner.n_bins, grid.n_pixels**2)
    return sparse.csr_array((lengths.astype(np.float32), (rows, columns)), shape=shape)


def _permuted(
    block: sparse.csr_array, grid: ImageGrid, pixels: _Pixels, *, x_from: np.ndarray, y_from: np.ndarray
) -> sparse.csr_array:
    """The block of the view in which pixel (x_from, y_from) sits where (x, y) sits in ``block``."""
    new_column = np.zeros(grid.n_pixels**2, dtype=block.indices.dtype)
    new_column[pixels.column] = (y_from + grid.centre_index) * grid.n_pixels + x_from + grid.centre_index
    return sparse.csr_array((block.data, new_column[block.indices], block.indptr), shape=block.shape)
