"""Several packed data sets as one."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from torch.utils.data import ConcatDataset

from quietpet.data.dataset import PairDataset
from quietpet.data.pairs import DosePair
from quietpet.errors import InputError


class JointPairs(ConcatDataset[DosePair]):
    """The rows of all ``parts`` in a row; every slice weighs alike, whatever set it comes from.

    Raises:
        InputError: the images differ in size or in the size of their pixels.
    """

    def __init__(self, parts: Sequence[PairDataset]) -> None:
        super().__init__(parts)
        self._parts = tuple(parts)
        first, *others = parts
        for other in others:
            if other.pixels != first.pixels or abs(other.pixel_mm / first.pixel_mm - 1) > 1e-6:
                raise InputError(
                    f"{other.path}: {other.pixels} pixels of {other.pixel_mm:g} mm, but {first.path}: "
                    f"{first.pixels} of {first.pixel_mm:g} mm. Data sets that train one network "
                    "together need one grid; pack them alike."
                )
        self.path, self.pixels, self.pixel_mm = first.path, first.pixels, first.pixel_mm
        self.keys = [key for part in parts for key in part.keys]

    def any_head(self) -> np.ndarray:
        """Pixels (y, x) that lie in the head of any slice."""
        return np.logical_or.reduce([part.any_head() for part in self._parts])
