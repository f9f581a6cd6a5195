"""Stage ``pack``: standard- and low-dose images, T1 and masks of a split, in one HDF5 file."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from quietpet.data.crop import central_crop
from quietpet.data.scaling import activity_weighted_mean
from quietpet.errors import InputError
from quietpet.files.hdf5 import Parts, open_hdf5, read_array, read_attribute, read_strings
from quietpet.files.lineage import Lineage, common_lineage, lineage_of
from quietpet.files.named import Files
from quietpet.files.packed import write_dataset
from quietpet.geometry.grid import scanner_grid
from quietpet.geometry.scanner import SCANNERS
from quietpet.jobs.datasets import PackJob
from quietpet.provenance import Stopwatch, provenance

_MAPS = {
    "t1": "t1",
    "truth": "activity",
    "head": "head",
    "labels": "labels",
    "pet_lesions": "pet_lesions",
    "t1_lesions": "t1_lesions",
}
"""Packed name -> name in the slices file."""


@dataclass(frozen=True, kw_only=True)
class _Images:
    """Reconstructed images (slice, y, x) in ``units``; ``per_phantom_unit`` of them are one of truth."""

    path: Path
    values: np.ndarray
    units: str
    per_phantom_unit: float
    lineage: Lineage


def run(job: PackJob, inputs: Files, outputs: Files) -> None:
    """Read ``slices``, ``standard`` and ``low`` of all subjects in one order; write ``dataset``."""
    watch = Stopwatch()
    grid = scanner_grid(SCANNERS[job.scanner_model](), job.pixels)
    sources = zip(inputs.many("slices"), inputs.many("standard"), inputs.many("low"), strict=True)
    parts, images = [], []
    for slices, standard_path, low_path in sources:
        maps = _read_slices(slices)
        standard = _read_images(standard_path, maps, dose="standard")
        low = _read_images(low_path, maps, dose=job.setting)
        maps["truth"] = maps["truth"] * np.float32(standard.per_phantom_unit)
        parts.append({**maps, "standard": standard.values, "low": low.values})
        images += [standard, low]
    found = tuple(str(part["subject"][0]) for part in parts)
    if found != job.subjects:
        raise InputError(f"the {job.split} split is {job.subjects}, but images of {found} were given.")
    packed: dict[str, Any] = {name: _joined(parts, name, pixels=job.pixels) for name in parts[0]}
    for scale, name in (("scale", "low"), ("t1_scale", "t1")):
        crops = itertools.chain.from_iterable(_cropped(parts, name, pixels=job.pixels))
        packed[scale] = np.array([activity_weighted_mean(crop) for crop in crops])
    write_dataset(
        outputs.one("dataset"),
        packed,
        dataset=job.dataset,
        setting=job.setting,
        split=job.split,
        affine_ras_mm=grid.affine_ras_mm,
        pixel_mm=grid.pixel_mm,
        activity_units=_common_units(images),
        lineage=common_lineage((each.path, each.lineage) for each in images),
        provenance=provenance("pack", settings=job.model_dump(), inputs=inputs.all(), watch=watch),
    )


def _read_slices(path: Path) -> dict[str, Any]:
    with open_hdf5(path, kind="slices") as file:
        maps: dict[str, Any] = {name: read_array(file, source) for name, source in _MAPS.items()}
        maps["key"] = np.array(read_strings(file, "key"))
        maps["slice_mm"] = read_array(file, "slice_mm")
        maps["angle_deg"] = read_array(file, "angle_deg")
        maps["subject"] = np.full(len(maps["key"]), read_attribute(file, "subject"))
    return maps


def _read_images(path: Path, maps: Mapping[str, np.ndarray], *, dose: str) -> _Images:
    """Images that belong to the slices of ``maps``, at ``dose``; anything else is refused."""
    with open_hdf5(path, kind="images") as file:
        found_dose = read_attribute(file, "dose")
        if found_dose != dose:
            raise InputError(f"{path}: holds dose {found_dose!r}, but {dose!r} is packed here.")
        if read_strings(file, "key") != maps["key"].tolist():
            raise InputError(
                f"{path}: its slices differ from those of the phantom; reconstruct it again."
            )
        return _Images(
            path=path,
            values=read_array(file, "image"),
            units=read_attribute(file, "activity_units"),
            per_phantom_unit=read_attribute(file, "activity_per_phantom_unit"),
            lineage=lineage_of(file),
        )


def _common_units(images: Iterable[_Images]) -> str:
    """The one unit that all images share."""
    first, *others = images
    for each in others:
        if (each.units, each.per_phantom_unit) != (first.units, first.per_phantom_unit):
            raise InputError(
                f"{each.path} is in {each.units} ({each.per_phantom_unit:g} per unit of the phantom), "
                f"but {first.path} in {first.units} ({first.per_phantom_unit:g}); make both again."
            )
    return first.units


def _joined(parts: Sequence[Mapping[str, np.ndarray]], name: str, *, pixels: int) -> np.ndarray | Parts:
    """One array of all subjects; images are cropped subject by subject while they are written."""
    arrays = [part[name] for part in parts]
    if arrays[0].ndim < 3:
        return np.concatenate(arrays)
    return Parts(
        shape=(sum(len(array) for array in arrays), pixels, pixels),
        dtype=arrays[0].dtype,
        parts=_cropped(parts, name, pixels=pixels),
    )


def _cropped(
    parts: Sequence[Mapping[str, np.ndarray]], name: str, *, pixels: int
) -> Iterator[np.ndarray]:
    return (central_crop(part[name], pixels) for part in parts)
