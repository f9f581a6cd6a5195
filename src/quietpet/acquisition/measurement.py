"""What was measured of some slices: their prompts, and the model that expects them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch

from quietpet.acquisition.model import AcquisitionModel


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
                multiplicative=self.model.multiplicative[chosen],
                background=None if background is None else background[chosen],
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
