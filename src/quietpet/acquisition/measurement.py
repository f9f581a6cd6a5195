"""What was measured of some slices: their prompts, and the model that expects them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch

from quietpet.acquisition.model import AcquisitionModel
from quietpet.acquisition.psf import SlicewisePSF


@dataclass(frozen=True, kw_only=True)
class Measurement:
    """Prompts (slice, view, bin), float32, and the acquisition model of the same slices."""

    prompts: torch.Tensor
    model: AcquisitionModel

    def rows(self, rows: Sequence[int]) -> Measurement:
        """The slices ``rows``, in that order."""
        chosen = list(rows)
        background = self.model.background
        return Measurement(
            prompts=self.prompts[chosen],
            model=replace(
                self.model,
                psf=self.model.psf.rows(chosen),
                multiplicative=self.model.multiplicative[chosen],
                background=None if background is None else background[chosen],
            ),
        )

    def trimmed(self) -> Measurement:
        """That of the bins that see the image, in memory of its own; the others tell nothing of it."""
        model = self.model.trimmed()
        return Measurement(
            prompts=self.prompts[..., self.model.projector.seen_bins].contiguous(),
            model=replace(
                model,
                multiplicative=model.multiplicative.contiguous(),
                background=None if model.background is None else model.background.contiguous(),
            ),
        )

    def to(self, device: torch.device | str) -> Measurement:
        """The sinograms on ``device``; projector and point spread stay where they were built."""
        background = self.model.background
        return Measurement(
            prompts=self.prompts.to(device),
            model=replace(
                self.model,
                multiplicative=self.model.multiplicative.to(device),
                background=None if background is None else background.to(device),
            ),
        )


def joined(measurements: Sequence[Measurement]) -> Measurement:
    """The slices of all ``measurements`` by one scanner in a row, each blurred by its own point spread.

    Where some have background, that of the others is 0.
    """
    first, *others = measurements
    models = [each.model for each in measurements]
    if all(other.model.psf is first.model.psf for other in others):
        psf = first.model.psf
    else:
        psf = SlicewisePSF(
            [
                each.psf
                for each, measured in zip(models, measurements, strict=True)
                for _ in measured.prompts
            ]
        )
    background = None
    if any(each.background is not None for each in models):
        background = torch.cat(
            [
                torch.zeros_like(each.multiplicative) if each.background is None else each.background
                for each in models
            ]
        )
    return Measurement(
        prompts=torch.cat([each.prompts for each in measurements]),
        model=replace(
            first.model,
            psf=psf,
            multiplicative=torch.cat([each.multiplicative for each in models]),
            background=background,
        ),
    )
