"""Stage ``pack_scans``: slices of a split's in-vivo scans, in one HDF5 file like that of phantoms."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from quietpet.data.scaling import activity_weighted_mean
from quietpet.errors import InputError
from quietpet.files.lineage import NOT_PROJECTED, Lineage, common_lineage
from quietpet.files.named import Files
from quietpet.files.packed import write_dataset
from quietpet.files.text import read_json
from quietpet.files.volumes import read_volume
from quietpet.geometry.volume import Volume
from quietpet.invivo.slices import slice_numbers
from quietpet.jobs.datasets import PackScansJob
from quietpet.phantom.slices import draw_angles_deg, slice_rows
from quietpet.provenance import Stopwatch, provenance
from quietpet.registration.head import head_mask, head_mm
from quietpet.registration.planes import SlicePixels, sampled, smoothed_for
from quietpet.registration.volume import RigidTransform, require_image
from quietpet.seeds import numpy_rng


@dataclass(frozen=True, kw_only=True)
class _Scan:
    """One registered scan: PET images on their own voxels, in ``units``, and where T1 lies in them."""

    participant: str
    path: Path
    t1_path: Path
    standard: Volume
    low: Volume
    t1: Volume
    t1_to_pet: RigidTransform
    units: str
    lineage: Lineage


def run(job: PackScansJob, inputs: Files, outputs: Files) -> None:
    """``scan``, ``registration``, ``t1``, ``standard``, ``low`` of all participants -> ``dataset``.

    The files are given in one order of participants. Slices are cut straight from the PET images through
    the transform, turned as phantoms are, so that every image is interpolated once.
    """
    watch = Stopwatch()
    names = ("scan", "registration", "t1", "standard", "low")
    scans = [
        _read_scan(*paths, job=job) for paths in zip(*(inputs.many(name) for name in names), strict=True)
    ]
    found = tuple(scan.participant for scan in scans)
    if found != job.participants:
        raise InputError(
            f"the {job.split} split is {job.participants}, but scans of {found} were given."
        )
    parts = [_slices(scan, job) for scan in scans]
    packed = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
    pixel_mm = _pixel_mm(scans, job)
    write_dataset(
        outputs.one("dataset"),
        packed,
        dataset=job.dataset,
        setting=job.setting,
        split=job.split,
        affine_ras_mm=_slice_affine(pixel_mm),
        pixel_mm=pixel_mm,
        activity_units=_common_units(scans),
        lineage=common_lineage((scan.path, scan.lineage) for scan in scans),
        provenance=provenance("pack_scans", settings=job.model_dump(), inputs=inputs.all(), watch=watch),
    )


def _read_scan(
    scan: Path, registration: Path, t1: Path, standard: Path, low: Path, *, job: PackScansJob
) -> _Scan:
    facts, registered = read_json(scan), read_json(registration)
    images = {}
    for name, path in (("t1", t1), ("standard", standard), ("low", low)):
        images[name] = read_volume(path)
        require_image(images[name], str(path))
    if job.window not in facts["windows"]:
        raise InputError(f"{scan}: has no window {job.window!r}; import the scan again.")
    return _Scan(
        participant=facts["participant"],
        path=scan,
        t1_path=t1,
        **images,
        t1_to_pet=RigidTransform(fixed_to_moving=np.array(registered["t1_to_pet_ras_mm"])),
        units=facts["units"],
        lineage={
            "data_source": facts["data_source"],
            "projector": NOT_PROJECTED,
            "registration": registered["engine"],
        },
    )


def _slices(scan: _Scan, job: PackScansJob) -> dict[str, np.ndarray]:
    """All rows of one scan, as :class:`quietpet.data.dataset.PairDataset` reads them."""
    numbers = slice_numbers(
        job.slices,
        shape=scan.t1.values.shape,
        affine_ras_mm=scan.t1.affine_ras_mm,
        file=str(scan.t1_path),
    )
    offset_mm = (np.array(numbers) - (scan.t1.values.shape[2] - 1) / 2) * scan.t1.voxel_mm[2]
    grid = SlicePixels.of(
        scan.t1,
        centre_mm=_middle(head_mm(scan.t1)),
        pixels=job.pixels,
        pixel_mm=job.slices.pixel_mm,
    )
    head = head_mask(scan.t1)
    t1 = smoothed_for(scan.t1, grid.pixel_mm)
    angles_deg = draw_angles_deg(
        rotations=job.slices.rotations,
        max_angle_deg=job.slices.max_angle_deg,
        rng=numpy_rng(job.study_seed, "rotations", job.source, scan.participant),
    )
    rows = slice_rows(range(len(numbers)), angles_deg)
    images: dict[str, list[np.ndarray]] = {name: [] for name in ("low", "standard", "t1", "head")}
    for row in rows:
        at = grid.positions_mm(offset_mm=offset_mm[row.slice_index], angle_deg=row.angle_deg)
        images["low"].append(sampled(scan.low, at, through=scan.t1_to_pet))
        images["standard"].append(sampled(scan.standard, at, through=scan.t1_to_pet))
        images["t1"].append(sampled(t1, at))
        images["head"].append((sampled(head, at) > 0.5).astype(np.uint8))
    stacked: dict[str, np.ndarray] = {name: np.stack(each) for name, each in images.items()}
    no_lesions = np.zeros_like(stacked["head"])
    return {
        **stacked,
        "pet_lesions": no_lesions,
        "t1_lesions": no_lesions,
        "key": np.array(
            [f"{scan.participant}/z{numbers[r.slice_index]:03d}/r{r.rotation}" for r in rows]
        ),
        "subject": np.full(len(rows), scan.participant),
        "slice_mm": np.array([offset_mm[row.slice_index] for row in rows]),
        "angle_deg": np.array([row.angle_deg for row in rows]),
        "scale": np.array([activity_weighted_mean(image) for image in stacked["low"]]),
        "t1_scale": np.array([activity_weighted_mean(image) for image in stacked["t1"]]),
    }


def _middle(positions_mm: np.ndarray) -> np.ndarray:
    """Middle of the box that holds all positions (n, 3)."""
    return (positions_mm.min(axis=0) + positions_mm.max(axis=0)) / 2


def _pixel_mm(scans: Sequence[_Scan], job: PackScansJob) -> float:
    """The one size of pixels that all scans share."""
    if job.slices.pixel_mm is not None:
        return job.slices.pixel_mm
    first, *others = scans
    for scan in others:
        if abs(scan.t1.voxel_mm[0] / first.t1.voxel_mm[0] - 1) > 1e-3:
            raise InputError(
                f"{scan.t1_path}: voxels of {scan.t1.voxel_mm[0]:.4g} mm, but {first.t1_path} has "
                f"{first.t1.voxel_mm[0]:.4g} mm; set invivo.slices.pixel_mm, on which both are sampled."
            )
    return float(first.t1.voxel_mm[0])


def _common_units(scans: Sequence[_Scan]) -> str:
    first, *others = scans
    for scan in others:
        if scan.units != first.units:
            raise InputError(f"{scan.path} is in {scan.units}, but {first.path} in {first.units}.")
    return first.units


def _slice_affine(pixel_mm: float) -> np.ndarray:
    """From (slice offset in mm, y, x, 1) to mm to the right, front and top of the slices' middle."""
    affine = np.zeros((4, 4))
    affine[0, 2], affine[1, 1], affine[2, 0], affine[3, 3] = pixel_mm, -pixel_mm, 1.0, 1.0
    return affine
