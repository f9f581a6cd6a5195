"""Image-space point spread function: a separable Gaussian blur."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import torch
from scipy import sparse

from quietpet.projection.sparse_map import SparseMap
from quietpet.units import sigma_from_fwhm


class GaussianPSF:
    """Gaussian blur of images (..., [z,] y, x) with zero boundary; self-adjoint, differentiable.

    The kernel is sampled at the pixel centres and normalised to sum one, as in STIR's
    ``SeparableGaussianImageFilter``. A width of zero leaves images as they are. Slices are independent
    of each other unless ``slice_mm``, their distance, is given: volumes are blurred along z as well.
    """

    def __init__(
        self,
        *,
        fwhm_mm: float,
        pixel_mm: float,
        image_shape: tuple[int, ...],
        slice_mm: float | None = None,
        device: torch.device | str = "cpu",
    ) -> None:
        self.fwhm_mm = fwhm_mm
        self._blurs: list[SparseMap] = []
        self._axial: torch.Tensor | None = None
        if fwhm_mm > 0 and slice_mm is not None:
            band = _convolution(gaussian_kernel(fwhm_mm, slice_mm), image_shape[0]).toarray()
            self._axial = torch.from_numpy(band.astype(np.float32)).to(device)
        if fwhm_mm > 0:
            rows, columns = plane_shape = image_shape[-2:]
            kernel = gaussian_kernel(fwhm_mm, pixel_mm)
            for matrix in (
                sparse.kron(_convolution(kernel, rows), sparse.eye_array(columns), "csr"),
                sparse.kron(sparse.eye_array(rows), _convolution(kernel, columns), "csr"),
            ):
                blur = SparseMap(
                    sparse.csr_array(matrix, dtype=np.float32),
                    source_shape=plane_shape,
                    target_shape=plane_shape,
                    device=device,
                )
                self._blurs.append(blur)

    def __call__(self, image: torch.Tensor) -> torch.Tensor:
        for blur in self._blurs:
            image = blur(image)
        if self._axial is not None:
            # z is fastest in memory, and so stays: the columns of voxels times a symmetric band matrix.
            image = (image.movedim(-3, -1) @ self._axial).movedim(-1, -3)
        return image

    def rows(self, rows: Sequence[int]) -> GaussianPSF:
        """That of the slices ``rows``: the same for all."""
        return self


class SlicewisePSF:
    """Blurs of slices (slice, y, x) whose point spreads differ, as those of several doses do."""

    def __init__(self, psfs: Sequence[GaussianPSF | SlicewisePSF]) -> None:
        self._psfs = tuple(psfs)

    def __call__(self, image: torch.Tensor) -> torch.Tensor:
        blurred = [psf(image) for psf, image in zip(self._psfs, image.split(1), strict=True)]
        return torch.cat(blurred)

    def rows(self, rows: Sequence[int]) -> SlicewisePSF:
        """Those of the slices ``rows``."""
        return SlicewisePSF([self._psfs[row] for row in rows])


def gaussian_kernel(fwhm_mm: float, pixel_mm: float) -> np.ndarray:
    """Sampled Gaussian, odd length, sum one; cut where it falls below 1e-6 of its peak."""
    sigma_pixels = sigma_from_fwhm(fwhm_mm) / pixel_mm
    radius = math.ceil(sigma_pixels * math.sqrt(2.0 * math.log(1e6)))
    kernel = np.exp(-0.5 * (np.arange(-radius, radius + 1) / sigma_pixels) ** 2)
    return kernel / kernel.sum()


def _convolution(kernel: np.ndarray, length: int) -> sparse.dia_array:
    """Toeplitz matrix (length, length) of a convolution with zero boundary."""
    radius = kernel.size // 2
    reach = min(radius, length - 1)  # what lies farther off meets no pixel
    return sparse.diags_array(
        list(kernel[radius - reach : radius + reach + 1]),
        offsets=list(range(-reach, reach + 1)),
        shape=(length, length),
    )
