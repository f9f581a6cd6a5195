"""Files of reconstructed images."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np

from quietpet.files.lineage import Lineage
from quietpet.files.records import ARRAY, TEXTS, Record


@dataclass(frozen=True, kw_only=True, eq=False)
class ReconstructedSlices(Record):
    """Images (slice, y, x) of one subject's slices at one dose, in ``activity_units``.

    ``activity_per_phantom_unit`` of these are one unit of the phantom.
    """

    KIND: ClassVar[str] = "images"
    AXES: ClassVar[str] = "(slice, y, x)"

    dose: str
    subject: str
    activity_units: str
    activity_per_phantom_unit: float
    lineage: Lineage
    key: list[str] = field(metadata=TEXTS)
    image: np.ndarray = field(metadata=ARRAY)
