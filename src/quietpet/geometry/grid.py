"""Where voxels are. Images are indexed (z, y, x); world coordinates are RAS millimetres."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from quietpet.geometry.scanner import ScannerGeometry, siemens_mmr


@dataclass(frozen=True, kw_only=True)
class ImageGrid:
    """A stack of square transaxial slices around the scanner axis.

    The axis passes through the centre of pixel ``n_pixels // 2``, as in STIR. Columns (x) run to the
    subject's right in steps of ``pixel_mm``, rows (y) from anterior to posterior, slices from the feet
    to the head.
    """

    n_slices: int
    n_pixels: int
    slice_mm: float
    pixel_mm: float

    @property
    def shape(self) -> tuple[int, int, int]:
        return (self.n_slices, self.n_pixels, self.n_pixels)

    @property
    def centre_index(self) -> int:
        """Row and column of the scanner axis."""
        return self.n_pixels // 2

    @property
    def axis_mm(self) -> np.ndarray:
        """Distance of the columns (or rows) from the scanner axis in mm, (n_pixels,)."""
        return (np.arange(self.n_pixels) - self.centre_index) * self.pixel_mm

    @property
    def slice_positions_mm(self) -> np.ndarray:
        """Distance of the slices from the middle of the field of view in mm, (n_slices,)."""
        return (np.arange(self.n_slices) - (self.n_slices - 1) / 2) * self.slice_mm

    @property
    def affine_ras_mm(self) -> np.ndarray:
        """4x4 matrix from index (z, y, x, 1) to (right, anterior, superior, 1) in mm."""
        affine = np.zeros((4, 4))
        affine[0, 2] = self.pixel_mm
        affine[1, 1] = -self.pixel_mm
        affine[2, 0] = self.slice_mm
        affine[:3, 3] = (self.axis_mm[0], -self.axis_mm[0], self.slice_positions_mm[0])
        affine[3, 3] = 1.0
        return affine

    def refined(self, factor: int) -> ImageGrid:
        """The same field of view in pixels of 1 / ``factor`` of the side; slices stay.

        ``n_pixels`` is even; then each pixel of this grid has its centre in common with the one whose
        index is ``factor`` times its own.
        """
        return replace(self, n_pixels=factor * self.n_pixels, pixel_mm=self.pixel_mm / factor)

    def within_radius(self, radius_mm: float) -> np.ndarray:
        """Mask (y, x) of the pixels whose centre is at most ``radius_mm`` from the axis."""
        squared = self.axis_mm[:, None] ** 2 + self.axis_mm[None, :] ** 2
        return squared <= radius_mm**2


def scanner_grid(scanner: ScannerGeometry, n_pixels: int) -> ImageGrid:
    """The image grid of a scanner: slices of half the ring spacing, STIR's default pixels."""
    return ImageGrid(
        n_slices=scanner.n_image_slices,
        n_pixels=n_pixels,
        slice_mm=scanner.ring_spacing_mm / 2,
        pixel_mm=scanner.image_pixel_mm,
    )


def mmr_grid(n_pixels: int) -> ImageGrid:
    """The Siemens Biograph mMR's grid: 127 slices of 2.03125 mm; the vendor's matrix is 344 x 344."""
    return scanner_grid(siemens_mmr(), n_pixels)
