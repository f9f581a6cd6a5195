"""The two records that flow from the packed data set to the networks."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import torch

    from quietpet.acquisition.measurement import Measurement


@dataclass(frozen=True, kw_only=True)
class DosePair:
    """One transaxial slice: low- and standard-dose PET and T1, in their original units, (y, x).

    ``t1`` is None where nobody acquired one; its scale is 1 then, and divides nothing. ``truth`` is the
    simulated activity (None in vivo), ``head`` the region for quantitative metrics, the lesion arrays
    hold lesion numbers (0: none). ``scale`` divides the PET images for a network; it is taken from the
    low-dose image alone, so it is known when there is no standard dose.
    """

    key: str
    subject: str
    slice_mm: float
    angle_deg: float
    low: np.ndarray
    standard: np.ndarray
    t1: np.ndarray | None
    head: np.ndarray
    pet_lesions: np.ndarray
    t1_lesions: np.ndarray
    truth: np.ndarray | None
    scale: float
    t1_scale: float
    affine_ras_mm: np.ndarray


@dataclass(frozen=True, kw_only=True)
class Batch:
    """Scaled images for a network, each of shape (slice, 1, y, x), float32.

    ``has_t1`` (slice,), bool, tells which slices have a T1. That of the others is NaN in all pixels, so
    that a method which looks at a missing T1 cannot pass unseen.

    Multiply a restored image by ``scale`` (slice,) to return to the units of the data. ``pixel_mm`` is
    the side of a pixel, the same for all slices.

    ``measurement`` holds the low-dose sinograms of exactly these slices, for methods that reconstruct;
    None for all others. Its images are those of the scanner's grid, in the units of the data: the same
    pixels with the same centre, but neither scaled nor of the same number.
    """

    low: torch.Tensor
    standard: torch.Tensor
    t1: torch.Tensor
    has_t1: torch.Tensor
    scale: torch.Tensor
    keys: tuple[str, ...]
    pixel_mm: float
    measurement: Measurement | None = None

    def measured(self) -> Measurement:
        """The measurement, for a method that cannot do without.

        Raises ValueError when the batch was made without.
        """
        if self.measurement is None:
            raise ValueError("this batch has no measurement; methods that reconstruct need one")
        return self.measurement

    def known_t1(self) -> torch.Tensor:
        """T1, for a method that cannot do without and that a NaN would not stop.

        Raises ValueError when a slice has none. A GPU is waited for, so that networks, which turn NaN
        into NaN, take ``t1`` itself.
        """
        if not bool(self.has_t1.all()):
            raise ValueError("slices of this batch have no T1, which the method needs")
        return self.t1

    def part(self, index: int, of: int) -> Batch:
        """Every ``of``-th slice, from ``index`` on, with its measurement."""
        if of == 1:
            return self
        rows = range(index, len(self.keys), of)
        return replace(
            self,
            low=self.low[index::of],
            standard=self.standard[index::of],
            t1=self.t1[index::of],
            has_t1=self.has_t1[index::of],
            scale=self.scale[index::of],
            keys=self.keys[index::of],
            measurement=None if self.measurement is None else self.measurement.rows(rows),
        )

    def to(self, device: torch.device | str) -> Batch:
        return replace(
            self,
            low=self.low.to(device, non_blocking=True),
            standard=self.standard.to(device, non_blocking=True),
            t1=self.t1.to(device, non_blocking=True),
            has_t1=self.has_t1.to(device, non_blocking=True),
            scale=self.scale.to(device, non_blocking=True),
            measurement=None if self.measurement is None else self.measurement.to(device),
        )

    def pin_memory(self) -> Batch:
        """The same in page-locked memory, from which a GPU copies while it computes."""
        names = ("low", "standard", "t1", "has_t1", "scale")
        return replace(self, **{name: getattr(self, name).pin_memory() for name in names})
