"""Stage ``pack_scans``: slices of a split's in-vivo scans, in one HDF5 file like that of phantoms."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from quietpet.errors import InputError
from quietpet.files.lineage import NOT_PROJECTED, UNREGISTERED
from quietpet.files.named import Files
from quietpet.files.records import write_record
from quietpet.files.text import read_json
from quietpet.files.volumes import read_volume
from quietpet.geometry.volume import Volume, is_missing
from quietpet.invivo.slices import slice_numbers
from quietpet.jobs.datasets import PackScansJob
from quietpet.phantom.slices import draw_angles_deg
from quietpet.provenance import Stopwatch, provenance
from quietpet.registration.packing import (
    RegisteredScan,
    ScanSlices,
    common_pixel_mm,
    cut_scan,
    packed_scans,
)
from quietpet.registration.volume import RigidTransform, require_image
from quietpet.seeds import numpy_rng


def run(job: PackScansJob, inputs: Files, outputs: Files) -> None:
    """``scan``, ``registration``, ``t1``, ``standard``, ``low`` of all participants -> ``dataset``.

    The files are given in one order of participants.
    """
    watch = Stopwatch()
    names = ("scan", "registration", "t1", "standard", "low")
    sources = zip(*(inputs.many(name) for name in names), strict=True)
    scans = [_read_scan(*paths, job=job) for paths in sources]
    found = tuple(scan.participant for scan in scans)
    if found != job.participants:
        raise InputError(
            f"the {job.split} split is {job.participants}, but scans of {found} were given."
        )
    packed = packed_scans(
        [_slices(scan, job) for scan in scans],
        pixel_mm=common_pixel_mm(scans, job.slices.pixel_mm),
        dataset=job.dataset,
        setting=job.setting,
        split=job.split,
    )
    origin = provenance("pack_scans", settings=job.model_dump(), inputs=inputs.all(), watch=watch)
    write_record(outputs.one("dataset"), packed, provenance=origin)


def _read_scan(
    scan: Path, registration: Path, t1: Path, standard: Path, low: Path, *, job: PackScansJob
) -> RegisteredScan:
    facts, registered = read_json(scan), read_json(registration)
    if is_missing(head := read_volume(t1)) != (registered["engine"] == UNREGISTERED):
        raise InputError(f"{registration}: is not of the T1 in {t1}; register the scan again.")
    if job.window not in facts["windows"]:
        raise InputError(f"{scan}: has no window {job.window!r}; import the scan again.")
    return RegisteredScan(
        participant=facts["participant"],
        origin=scan,
        t1_origin=t1,
        t1=None if is_missing(head) else _required(head, t1),
        standard=_required(read_volume(standard), standard),
        low=_required(read_volume(low), low),
        t1_to_pet=RigidTransform(fixed_to_moving=np.array(registered["t1_to_pet_ras_mm"])),
        units=facts["units"],
        lineage={
            "data_source": facts["data_source"],
            "projector": NOT_PROJECTED,
            "registration": registered["engine"],
        },
    )


def _required(image: Volume, path: Path) -> Volume:
    require_image(image, str(path))
    return image


def _slices(scan: RegisteredScan, job: PackScansJob) -> ScanSlices:
    """The rows of one scan, turned by angles of its own."""
    numbers = slice_numbers(
        job.slices,
        shape=scan.anatomy.values.shape,
        affine_ras_mm=scan.anatomy.affine_ras_mm,
        file=str(scan.t1_origin),
    )
    angles_deg = draw_angles_deg(
        rotations=job.slices.rotations,
        max_angle_deg=job.slices.max_angle_deg,
        rng=numpy_rng(job.study_seed, "rotations", job.source, scan.participant),
    )
    return cut_scan(
        scan,
        numbers=numbers,
        angles_deg=angles_deg,
        pixels=job.pixels,
        pixel_mm=job.slices.pixel_mm,
    )
