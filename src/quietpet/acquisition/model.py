"""The acquisition model y = multiplicative * P(blur x) + background (SIRF: S G P x + b)."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch

from quietpet.acquisition.psf import GaussianPSF, SlicewisePSF
from quietpet.projection.protocol import Projector


@dataclass(frozen=True, kw_only=True)
class AcquisitionModel:
    """Expected prompts of images in activity units.

    ``multiplicative`` (slice, view, bin) holds everything that scales a bin: attenuation, detection
    efficiency, gaps (0) and counts per unit activity. ``background`` (same shape, or None) is the
    expected number of randoms and scattered prompts.
    """

    projector: Projector
    psf: GaussianPSF | SlicewisePSF
    multiplicative: torch.Tensor
    background: torch.Tensor | None = None

    def expected(self, activity: torch.Tensor) -> torch.Tensor:
        """Expected prompts (slice, view, bin) of activity images (slice, y, x)."""
        prompts = self.multiplicative * self.projector.forward(self.psf(activity))
        return prompts if self.background is None else prompts + self.background

    def subset(self, index: int, of: int) -> AcquisitionModel:
        """The model of the views index, index + of, ..."""
        return replace(
            self,
            projector=self.projector.subset(index, of),
            multiplicative=subset_views(self.multiplicative, index, of),
            background=None if self.background is None else subset_views(self.background, index, of),
        )

    def trimmed(self) -> AcquisitionModel:
        """The model of the bins that see the image; the others tell nothing about it."""
        bins = self.projector.seen_bins
        return replace(
            self,
            projector=self.projector.trimmed(),
            multiplicative=self.multiplicative[..., bins],
            background=None if self.background is None else self.background[..., bins],
        )


def subset_views(sinogram: torch.Tensor, index: int, of: int) -> torch.Tensor:
    """The views index, index + of, ... of a sinogram (..., view, bin)."""
    return sinogram[..., index::of, :]
