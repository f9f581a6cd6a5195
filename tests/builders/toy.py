"""A projector small enough to write down, for comparisons with dense algebra."""

from __future__ import annotations

import numpy as np
import torch

from quietpet.acquisition.model import AcquisitionModel
from quietpet.acquisition.psf import GaussianPSF


class DenseProjector:
    """The protocol's projector of a matrix (view, bin, y, x)."""

    def __init__(self, matrix: torch.Tensor, *, views: range | None = None) -> None:
        self.matrix = matrix
        self.views = range(len(matrix)) if views is None else views
        self.sinogram_shape, self.image_shape = tuple(matrix.shape[:2]), tuple(matrix.shape[2:])

    @property
    def seen_bins(self) -> slice:
        return slice(0, self.sinogram_shape[1])

    def trimmed(self) -> DenseProjector:
        return self

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        return torch.einsum("vbyx,...yx->...vb", self.matrix, image)

    def adjoint(self, sinogram: torch.Tensor) -> torch.Tensor:
        return torch.einsum("vbyx,...vb->...yx", self.matrix, sinogram)

    def subset(self, index: int, of: int) -> DenseProjector:
        return DenseProjector(self.matrix[index::of], views=self.views[index::of])


def identity_projector(side: int) -> DenseProjector:
    """Each pixel is seen by one bin of its own: view y, bin x."""
    return DenseProjector(torch.eye(side * side).reshape(side, side, side, side))


def random_projector(*, views: int, bins: int, side: int, seed: int) -> DenseProjector:
    lengths = np.random.default_rng(seed).uniform(size=(views, bins, side, side))
    return DenseProjector(torch.from_numpy(np.where(lengths > 0.6, lengths, 0.0).astype(np.float32)))


def toy_model(
    projector: DenseProjector, *, slices: int, background: float = 0.0, seed: int = 0
) -> AcquisitionModel:
    """Unequal bins, no blur."""
    shape = (slices, *projector.sinogram_shape)
    bins = np.random.default_rng(seed).uniform(0.5, 1.5, size=shape).astype(np.float32)
    return AcquisitionModel(
        projector=projector,
        psf=GaussianPSF(fwhm_mm=0.0, pixel_mm=1.0, image_shape=projector.image_shape),
        multiplicative=torch.from_numpy(bins),
        background=torch.full(shape, background) if background else None,
    )
