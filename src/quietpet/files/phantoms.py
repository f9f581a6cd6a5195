"""Files of phantoms, and of the slices that are cut from them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from quietpet.errors import InputError
from quietpet.files.hdf5 import open_hdf5, read_array
from quietpet.files.lineage import Lineage
from quietpet.files.records import ARRAY, MATRIX, TEXTS, Record


@dataclass(frozen=True, kw_only=True, eq=False)
class Phantom(Record):
    """Maps (z, y, x) of one subject's head on the grid of a scanner.

    ``affine_ras_mm`` takes (z, y, x, 1) to mm to the right, front and top; ``lesions`` is the table of
    those of each modality. Where data are made of finer pixels, what is measured is there on those too.
    ``regions`` numbers the voxels of brain regions, uint8: n those of ``region_names[n - 1]``, 0 the
    others; phantoms whose regions nobody asks for have none. ``regional_uptake`` is the factor of each
    region's grey matter, by name, and ``severity`` (0 to 1) that of the subject's disease, 0 in health.
    """

    KIND: ClassVar[str] = "phantom"

    subject: str
    affine_ras_mm: np.ndarray = field(metadata=MATRIX)
    units: dict[str, str]
    lesions: dict[str, list[dict[str, Any]]]
    lineage: Lineage
    activity: np.ndarray = field(metadata=ARRAY)
    mu_per_cm: np.ndarray = field(metadata=ARRAY)
    t1: np.ndarray = field(metadata=ARRAY)
    labels: np.ndarray = field(metadata=ARRAY)
    pet_lesions: np.ndarray = field(metadata=ARRAY)
    t1_lesions: np.ndarray = field(metadata=ARRAY)
    regions: np.ndarray | None = field(default=None, metadata=ARRAY)
    region_names: Sequence[str] = ()
    regional_uptake: dict[str, float] | None = None
    severity: float | None = None
    fine_activity: np.ndarray | None = field(default=None, metadata=ARRAY)
    fine_mu_per_cm: np.ndarray | None = field(default=None, metadata=ARRAY)


@dataclass(frozen=True, kw_only=True, eq=False)
class ScannedSlices(Record):
    """What a scan measures of a subject's slices: maps (slice, y, x), unit as in the phantom.

    Slices of one of the ``rotation`` (slice,) belong to one scan; ``slice_mm`` (slice,) is their
    distance from the middle of the axis.
    """

    KIND: ClassVar[str] = "slices"

    key: list[str] = field(metadata=TEXTS)
    rotation: np.ndarray = field(metadata=ARRAY)
    slice_mm: np.ndarray = field(metadata=ARRAY)
    lineage: Lineage
    activity: np.ndarray = field(metadata=ARRAY)
    mu_per_cm: np.ndarray = field(metadata=ARRAY)
    fine_activity: np.ndarray | None = field(default=None, metadata=ARRAY)
    fine_mu_per_cm: np.ndarray | None = field(default=None, metadata=ARRAY)

    @property
    def finer(self) -> tuple[np.ndarray, np.ndarray]:
        """Activity and attenuation on finer pixels.

        Raises InputError for slices of a phantom without.
        """
        if self.fine_activity is None or self.fine_mu_per_cm is None:
            raise InputError(f"{self.origin}: lacks the array 'fine_activity'; make the slices again.")
        return self.fine_activity, self.fine_mu_per_cm


@dataclass(frozen=True, kw_only=True, eq=False)
class KnownSlices(Record):
    """What is known of a subject's slices beside their images: maps (slice, y, x), and their places.

    ``regions`` and ``region_names`` are as in the phantom.
    """

    KIND: ClassVar[str] = "slices"

    subject: str
    key: list[str] = field(metadata=TEXTS)
    slice_mm: np.ndarray = field(metadata=ARRAY)
    angle_deg: np.ndarray = field(metadata=ARRAY)
    activity: np.ndarray = field(metadata=ARRAY)
    t1: np.ndarray = field(metadata=ARRAY)
    head: np.ndarray = field(metadata=ARRAY)
    labels: np.ndarray = field(metadata=ARRAY)
    pet_lesions: np.ndarray = field(metadata=ARRAY)
    t1_lesions: np.ndarray = field(metadata=ARRAY)
    regions: np.ndarray | None = field(default=None, metadata=ARRAY)
    region_names: Sequence[str] = ()


@dataclass(frozen=True, kw_only=True, eq=False)
class PhantomSlices(ScannedSlices, KnownSlices):
    """All of a file of slices: one row per slice and rotation."""

    affine_ras_mm: np.ndarray = field(metadata=MATRIX)
    units: dict[str, str]
    slice_index: np.ndarray = field(metadata=ARRAY)


def read_activity(path: Path) -> np.ndarray:
    """The activity (z, y, x) of a phantom alone."""
    with open_hdf5(path, kind=Phantom.KIND) as file:
        return read_array(file, "activity")
