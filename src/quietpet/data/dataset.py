"""Slices of a packed data set, read one by one."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from torch.utils.data import Dataset

from quietpet.data.pairs import DosePair
from quietpet.errors import InputError, replacing
from quietpet.files.hdf5 import (
    damage_explained,
    hdf5_for_reading,
    open_hdf5,
    read_array,
    read_attribute,
    read_strings,
    stored_array,
)

KIND = "dataset"
_IMAGES = ("low", "standard", "t1")
_MASKS = ("head", "pet_lesions", "t1_lesions")
_PER_SLICE = ("slice_mm", "angle_deg", "scale", "t1_scale")


class PairDataset(Dataset[DosePair]):
    """The rows of a file of kind "dataset", as :class:`DosePair`.

    Every process opens the file for itself at its first read: HDF5 handles survive neither pickling nor
    forking.

    Attributes: ``keys`` and ``subjects`` of all rows; ``pixels``, the side of the square images;
    ``pixel_mm``; ``has_truth``; and the file's own ``dataset``, ``setting``, ``split`` and ``lineage``.

    Raises:
        InputError: the file is missing, incomplete, of another kind, or lacks something; on reading a
            row, an image holds NaN or infinity.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        with open_hdf5(path, kind=KIND) as file:
            _require_images(file)
            self.keys = read_strings(file, "key")
            self.subjects = read_strings(file, "subject")
            self.has_truth = "truth" in file
            self.pixels = int(file["low"].shape[-1])
            self._numbers = {name: read_array(file, name) for name in _PER_SLICE}
            self.affine_ras_mm = np.asarray(read_attribute(file, "affine_ras_mm"), dtype=np.float64)
            self.dataset, self.setting, self.split, self.lineage = (
                read_attribute(file, name) for name in ("dataset", "setting", "split", "lineage")
            )
        # Index order (z, y, x): the third column is one step along x.
        self.pixel_mm = float(np.linalg.norm(self.affine_ras_mm[:3, 2]))
        self._file: h5py.File | None = None
        self._opened_by: int | None = None

    def __len__(self) -> int:
        return len(self.keys)

    def __getitem__(self, row: int) -> DosePair:
        names = (*_IMAGES, *(["truth"] if self.has_truth else []))
        with damage_explained(self.path):
            file = self._handle()
            images = {name: file[name][row] for name in (*names, *_MASKS)}
        for name in names:
            self._require_finite(images[name], name=name, row=row)
        numbers = {name: float(values[row]) for name, values in self._numbers.items()}
        return DosePair(
            key=self.keys[row],
            subject=self.subjects[row],
            slice_mm=numbers["slice_mm"],
            angle_deg=numbers["angle_deg"],
            low=images["low"],
            standard=images["standard"],
            t1=images["t1"],
            head=images["head"].astype(bool),
            pet_lesions=images["pet_lesions"],
            t1_lesions=images["t1_lesions"],
            truth=images.get("truth"),
            scale=numbers["scale"],
            t1_scale=numbers["t1_scale"],
            affine_ras_mm=self.affine_ras_mm,
        )

    def any_head(self) -> np.ndarray:
        """Pixels (y, x) that lie in the head of any slice."""
        with damage_explained(self.path):
            return self._handle()["head"][()].any(axis=0)

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_file": None, "_opened_by": None}

    def _handle(self) -> h5py.File:
        if self._file is None or self._opened_by != os.getpid():
            self._file = hdf5_for_reading(self.path)
            self._opened_by = os.getpid()
        return self._file

    def _require_finite(self, image: np.ndarray, *, name: str, row: int) -> None:
        bad = int(np.count_nonzero(~np.isfinite(image)))
        if bad:
            raise InputError(
                f"{self.path}: slice {self.keys[row]!r}: {bad} of {image.size} values of {name!r} are "
                f"not finite. {replacing(self.path)}"
            )


def _require_images(file: h5py.File) -> None:
    for name in (*_IMAGES, *_MASKS, "key", "subject", *_PER_SLICE):
        stored_array(file, name)
    if len(file["low"]) == 0:
        raise InputError(f"{file.filename}: holds no slices; give its split at least one subject.")
