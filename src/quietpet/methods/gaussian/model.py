"""Gaussian post-filter: the low-dose image, smoothed by the width that is best on validation slices."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from scipy.ndimage import gaussian_filter
from torch import nn

from quietpet.data.pairs import Batch
from quietpet.methods.base import Restorer
from quietpet.methods.gaussian.settings import Settings
from quietpet.methods.tuning import least_error
from quietpet.units import sigma_from_fwhm

_WIDTH_TOLERANCE_MM = 0.01


class GaussianFilter(Restorer):
    """Convolution with a Gaussian of ``fwhm_mm``, a number tuned once and saved with the method."""

    fwhm_mm: torch.Tensor

    def __init__(self, *, max_fwhm_mm: float) -> None:
        super().__init__()
        self._max_fwhm_mm = max_fwhm_mm
        self.register_buffer("fwhm_mm", torch.zeros(()))

    def groups(self) -> Mapping[str, list[nn.Parameter]]:
        return {}

    def loss(self, batch: Batch, group: str, generator: torch.Generator) -> torch.Tensor:
        raise TypeError("the Gaussian filter is not trained")

    def restore(self, batch: Batch, generators: Sequence[torch.Generator]) -> torch.Tensor:
        return smooth(batch, fwhm_mm=float(self.fwhm_mm))

    def tune(self, validation: Sequence[Batch]) -> None:
        """Choose the width of least NMSE of the validation slices."""
        best = least_error(
            lambda fwhm_mm: (smooth(batch, fwhm_mm=fwhm_mm) for batch in validation),
            validation,
            bounds=(0.0, self._max_fwhm_mm),
            tolerance=_WIDTH_TOLERANCE_MM,
        )
        self.fwhm_mm.fill_(best)


def smooth(batch: Batch, *, fwhm_mm: float) -> torch.Tensor:
    """The low-dose images (slice, 1, y, x), each smoothed in its plane; mirrored at the border."""
    sigma_pixels = sigma_from_fwhm(fwhm_mm) / batch.pixel_mm
    smoothed = gaussian_filter(batch.low.cpu().numpy(), sigma=(0, 0, sigma_pixels, sigma_pixels))
    return torch.from_numpy(smoothed).to(batch.low.device)


def build(settings: Settings) -> GaussianFilter:
    """The Gaussian filter, of width zero until it is tuned."""
    return GaussianFilter(max_fwhm_mm=settings.max_fwhm_mm)
