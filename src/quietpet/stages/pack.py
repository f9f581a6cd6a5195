"""Stage ``pack``: standard- and low-dose images, T1 and masks of a split, in one HDF5 file."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from quietpet.data.crop import central_crop
from quietpet.data.scaling import activity_weighted_mean
from quietpet.errors import InputError
from quietpet.geometry.grid import scanner_grid
from quietpet.geometry.scanner import SCANNERS
from quietpet.jobs import PackJob
from quietpet.provenance import Stopwatch, provenance
from quietpet.stages.files import Files
from quietpet.stages.lineage import common_lineage, lineage_of
from quietpet.store import Parts, open_hdf5, read_array, read_attribute, read_strings, write_hdf5

_MAPS = {
    "t1": "t1",
    "truth": "activity",
    "head": "head",
    "labels": "labels",
    "pet_lesions": "pet_lesions",
    "t1_lesions": "t1_lesions",
}
"""Packed name -> name in the slices file."""


def run(job: PackJob, inputs: Files, outputs: Files) -> None:
    """Read ``slices``, ``standard`` and ``low`` of all subjects in one order; write ``dataset``."""
    watch = Stopwatch()
    grid = scanner_grid(SCANNERS[job.scanner_model](), job.pixels)
    sources = zip(inputs.many("slices"), inputs.many("standard"), inputs.many("low"), strict=True)
    parts, lineages = [], []
    for slices, standard_path, low_path in sources:
        maps = _read_slices(slices)
        standard, standard_lineage = _read_images(standard_path, maps, dose="standard")
        low, low_lineage = _read_images(low_path, maps, dose=job.setting)
        parts.append({**maps, "standard": standard, "low": low})
        lineages += [(standard_path, standard_lineage), (low_path, low_lineage)]
    found = tuple(str(part["subject"][0]) for part in parts)
    if found != job.subjects:
        raise InputError(f"the {job.split} split is {job.subjects}, but images of {found} were given.")
    packed: dict[str, Any] = {name: _joined(parts, name, pixels=job.pixels) for name in parts[0]}
    for scale, name in (("scale", "low"), ("t1_scale", "t1")):
        images = itertools.chain.from_iterable(_cropped(parts, name, pixels=job.pixels))
        packed[scale] = np.array([activity_weighted_mean(image) for image in images])
    write_hdf5(
        outputs.one("dataset"),
        kind="dataset",
        arrays=packed,
        attributes={
            "axes": "(slice, y, x)",
            "dataset": job.dataset,
            "setting": job.setting,
            "split": job.split,
            "affine_ras_mm": grid.affine_ras_mm.tolist(),
            "pixel_mm": grid.pixel_mm,
            "units": {"low": "activity", "standard": "activity", "truth": "activity", "t1": "arbitrary"},
            "lineage": common_lineage(lineages),
            "provenance": provenance(
                "pack", settings=job.model_dump(), inputs=inputs.all(), watch=watch
            ),
        },
    )


def _read_slices(path: Path) -> dict[str, Any]:
    with open_hdf5(path, kind="slices") as file:
        maps: dict[str, Any] = {name: read_array(file, source) for name, source in _MAPS.items()}
        maps["key"] = np.array(read_strings(file, "key"))
        maps["slice_mm"] = read_array(file, "slice_mm")
        maps["angle_deg"] = read_array(file, "angle_deg")
        maps["subject"] = np.full(len(maps["key"]), read_attribute(file, "subject"))
    return maps


def _read_images(
    path: Path, maps: Mapping[str, np.ndarray], *, dose: str
) -> tuple[np.ndarray, dict[str, str]]:
    """Images that belong to the slices of ``maps``, at ``dose``; anything else is refused."""
    with open_hdf5(path, kind="images") as file:
        found_dose = read_attribute(file, "dose")
        if found_dose != dose:
            raise InputError(f"{path}: holds dose {found_dose!r}, but {dose!r} is packed here.")
        if read_strings(file, "key") != maps["key"].tolist():
            raise InputError(
                f"{path}: its slices differ from those of the phantom; reconstruct it again."
            )
        return read_array(file, "image"), lineage_of(file)


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
