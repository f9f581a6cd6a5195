"""Files of packed data sets, of phantoms and of scans alike, and their slices one by one."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

import h5py
import numpy as np

from quietpet.errors import InputError
from quietpet.files.hdf5 import Parts, damage_explained, hdf5_for_reading, open_hdf5, stored_array
from quietpet.files.lineage import Lineage
from quietpet.files.records import ARRAY, MATRIX, TEXTS, VALUES, Record, read_record

Images = np.ndarray | Parts


@dataclass(frozen=True, kw_only=True, eq=False)
class PackedName(Record):
    """Which data set a file holds, at which low dose."""

    KIND: ClassVar[str] = "dataset"
    AXES: ClassVar[str] = "(slice, y, x)"

    dataset: str
    setting: str
    lineage: Lineage


@dataclass(frozen=True, kw_only=True, eq=False)
class ReferenceSlices(Record):
    """The standard dose that restored slices are compared with; arrays (slice, y, x) or (slice,).

    ``truth`` and ``labels`` are those of phantoms; scans have none. ``has_t1`` tells which slices have a
    T1: that of the others is NaN. ``regions`` numbers the pixels of brain regions, uint8: n those of
    ``region_names[n - 1]``, 0 the others; None and no names where nobody asked for them.
    """

    KIND: ClassVar[str] = "dataset"
    AXES: ClassVar[str] = "(slice, y, x)"

    key: list[str] = field(metadata=TEXTS)
    subject: list[str] = field(metadata=TEXTS)
    slice_mm: np.ndarray = field(metadata=ARRAY)
    angle_deg: np.ndarray = field(metadata=ARRAY)
    standard: np.ndarray = field(metadata=VALUES)
    t1: np.ndarray = field(metadata=VALUES)
    has_t1: np.ndarray = field(metadata=ARRAY)
    head: np.ndarray = field(metadata=ARRAY)
    pet_lesions: np.ndarray = field(metadata=ARRAY)
    t1_lesions: np.ndarray = field(metadata=ARRAY)
    truth: np.ndarray | None = field(default=None, metadata=VALUES)
    labels: np.ndarray | None = field(default=None, metadata=ARRAY)
    regions: np.ndarray | None = field(default=None, metadata=ARRAY)
    region_names: Sequence[str] = ()


@dataclass(frozen=True, kw_only=True, eq=False)
class LowSlices(Record):
    """The low-dose images of a data set (slice, y, x)."""

    KIND: ClassVar[str] = "dataset"
    AXES: ClassVar[str] = "(slice, y, x)"

    key: list[str] = field(metadata=TEXTS)
    low: np.ndarray = field(metadata=VALUES)


@dataclass(frozen=True, kw_only=True, eq=False)
class LesionSlices(Record):
    """What a slice to be shown is chosen by: standard dose and lesions (slice, y, x)."""

    KIND: ClassVar[str] = "dataset"
    AXES: ClassVar[str] = "(slice, y, x)"

    key: list[str] = field(metadata=TEXTS)
    subject: list[str] = field(metadata=TEXTS)
    has_t1: np.ndarray = field(metadata=ARRAY)
    standard: np.ndarray = field(metadata=VALUES)
    pet_lesions: np.ndarray = field(metadata=ARRAY)


@dataclass(frozen=True, kw_only=True, eq=False)
class ShownSlices(PackedName):
    """What a figure shows of a slice beside T1; images (slice, y, x)."""

    pixel_mm: float
    units: dict[str, str]
    low: np.ndarray = field(metadata=VALUES)
    standard: np.ndarray = field(metadata=VALUES)
    head: np.ndarray = field(metadata=ARRAY)
    pet_lesions: np.ndarray = field(metadata=ARRAY)
    t1_lesions: np.ndarray = field(metadata=ARRAY)


@dataclass(frozen=True, kw_only=True, eq=False)
class T1Slices(Record):
    """T1 (slice, y, x) of slices that have one."""

    KIND: ClassVar[str] = "dataset"
    AXES: ClassVar[str] = "(slice, y, x)"

    t1: np.ndarray = field(metadata=VALUES)


@dataclass(frozen=True, kw_only=True, eq=False)
class PackedSet(PackedName):
    """Which slices a data set holds, and where they lie; arrays (slice,).

    ``affine_ras_mm`` takes (slice offset in mm, y, x, 1) to mm to the right, front and top; ``scale``
    and ``t1_scale`` divide the images for a network. ``has_t1`` tells which slices have a T1: that of
    the others is NaN, and its scale 1.
    """

    split: str
    affine_ras_mm: np.ndarray = field(metadata=MATRIX)
    key: list[str] = field(metadata=TEXTS)
    subject: list[str] = field(metadata=TEXTS)
    slice_mm: np.ndarray = field(metadata=ARRAY)
    angle_deg: np.ndarray = field(metadata=ARRAY)
    scale: np.ndarray = field(metadata=ARRAY)
    t1_scale: np.ndarray = field(metadata=ARRAY)
    has_t1: np.ndarray = field(metadata=ARRAY)


@dataclass(frozen=True, kw_only=True, eq=False)
class Packed(PackedSet):
    """All of a data set: images (slice, y, x), of which scans have neither ``truth`` nor ``labels``.

    ``regions`` and ``region_names`` are as in :class:`ReferenceSlices`.
    """

    pixel_mm: float
    units: dict[str, str]
    low: Images = field(metadata=VALUES)
    standard: Images = field(metadata=VALUES)
    t1: Images = field(metadata=VALUES)
    truth: Images | None = field(default=None, metadata=VALUES)
    head: Images = field(metadata=ARRAY)
    labels: Images | None = field(default=None, metadata=ARRAY)
    pet_lesions: Images = field(metadata=ARRAY)
    t1_lesions: Images = field(metadata=ARRAY)
    regions: Images | None = field(default=None, metadata=ARRAY)
    region_names: Sequence[str] = ()


def packed_units(activity_units: str, *, truth: bool) -> dict[str, str]:
    """Units of the images of a :class:`Packed`."""
    activities = ("low", "standard", *(("truth",) if truth else ()))
    return {**dict.fromkeys(activities, activity_units), "t1": "arbitrary"}


class PackedImages:
    """The images of a data set, read slice by slice.

    Every process opens the file for itself at its first read: HDF5 handles survive neither pickling nor
    forking.

    Attributes: ``about``; ``pixels``, the side of the square images; ``has_truth``.

    Raises:
        InputError: the file is missing, incomplete, of another kind, lacks something or holds no slices.
    """

    ALWAYS = ("low", "standard", "t1", "head", "pet_lesions", "t1_lesions")

    def __init__(self, path: Path) -> None:
        self.path = path
        with open_hdf5(path, kind=PackedSet.KIND) as file:
            for name in self.ALWAYS:
                stored_array(file, name)
            self.pixels = int(file["low"].shape[-1])
            self.has_truth = "truth" in file
        self.about = read_record(path, PackedSet)
        if not self.about.key:
            raise InputError(f"{path}: holds no slices; give its split at least one subject.")
        self._file: h5py.File | None = None
        self._opened_by: int | None = None

    def row(self, row: int) -> dict[str, np.ndarray]:
        """The images (y, x) of one slice by name; ``truth`` where there is one."""
        names = (*self.ALWAYS, *(("truth",) if self.has_truth else ()))
        with damage_explained(self.path):
            file = self._handle()
            return {name: file[name][row] for name in names}

    def whole(self, name: str) -> np.ndarray:
        """One image of all slices (slice, y, x)."""
        with damage_explained(self.path):
            return self._handle()[name][()]

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_file": None, "_opened_by": None}

    def _handle(self) -> h5py.File:
        if self._file is None or self._opened_by != os.getpid():
            self._file = hdf5_for_reading(self.path)
            self._opened_by = os.getpid()
        return self._file
