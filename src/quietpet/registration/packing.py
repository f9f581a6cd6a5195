"""Slices of several registered scans as one packed data set.

They are cut straight from the PET images through the transform, turned as phantoms are, so that every
image is interpolated once.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from quietpet.data.scaling import activity_weighted_mean
from quietpet.errors import InputError
from quietpet.files.lineage import Lineage, common_lineage
from quietpet.files.packed import Packed, packed_units
from quietpet.geometry.volume import Volume
from quietpet.phantom.slices import slice_rows
from quietpet.registration.head import head_mask, head_mm
from quietpet.registration.planes import SlicePixels, sampled, smoothed_for
from quietpet.registration.volume import RigidTransform


@dataclass(frozen=True, kw_only=True)
class RegisteredScan:
    """PET images on their own voxels, in ``units``, and where T1 lies in them.

    ``t1`` is None where nobody acquired one. ``origin`` and ``t1_origin`` are the files that messages
    name.
    """

    participant: str
    origin: Path
    t1_origin: Path
    standard: Volume
    low: Volume
    t1: Volume | None
    t1_to_pet: RigidTransform
    units: str
    lineage: Lineage

    @property
    def anatomy(self) -> Volume:
        """On whose grid slices are cut, and whose head they show: T1, or without it the long PET image.

        The head of PET is all that its outline encloses, as in a registration.
        """
        return self.standard if self.t1 is None else self.t1


@dataclass(frozen=True, kw_only=True, eq=False)
class ScanSlices:
    """Rows of one scan: images (slice, y, x), ``slice_mm`` from the middle of T1's axis and angles.

    Without T1 it is PET's axis, and ``t1`` is NaN.
    """

    scan: RegisteredScan
    key: list[str]
    slice_mm: np.ndarray
    angle_deg: np.ndarray
    low: np.ndarray
    standard: np.ndarray
    t1: np.ndarray
    head: np.ndarray


def cut_scan(
    scan: RegisteredScan,
    *,
    numbers: Sequence[int],
    angles_deg: np.ndarray,
    pixels: int,
    pixel_mm: float | None,
) -> ScanSlices:
    """The slices ``numbers`` of T1, each at every angle; pixels are those of T1 if of no other size.

    Without T1 all that is said of its grid is meant of PET's.
    """
    anatomy = scan.anatomy
    offset_mm = (np.array(numbers) - (anatomy.values.shape[2] - 1) / 2) * anatomy.voxel_mm[2]
    grid = SlicePixels.of(anatomy, centre_mm=_middle(head_mm(anatomy)), pixels=pixels, pixel_mm=pixel_mm)
    head = head_mask(anatomy)
    rows = slice_rows(range(len(numbers)), angles_deg)
    places = [
        grid.positions_mm(offset_mm=offset_mm[row.slice_index], angle_deg=row.angle_deg) for row in rows
    ]
    return ScanSlices(
        scan=scan,
        key=[f"{scan.participant}/z{numbers[row.slice_index]:03d}/r{row.rotation}" for row in rows],
        slice_mm=np.array([offset_mm[row.slice_index] for row in rows]),
        angle_deg=np.array([row.angle_deg for row in rows]),
        low=np.stack([sampled(scan.low, at, through=scan.t1_to_pet) for at in places]),
        standard=np.stack([sampled(scan.standard, at, through=scan.t1_to_pet) for at in places]),
        t1=_t1_slices(scan.t1, places, pixel_mm=grid.pixel_mm),
        head=np.stack([(sampled(head, at) > 0.5).astype(np.uint8) for at in places]),
    )


def _t1_slices(t1: Volume | None, places: Sequence[np.ndarray], *, pixel_mm: float) -> np.ndarray:
    """T1 (slice, y, x) at ``places``, each (y, x, 3) [mm]; NaN where there is none."""
    if t1 is None:
        return np.full((len(places), *places[0].shape[:2]), np.nan, np.float32)
    smooth = smoothed_for(t1, pixel_mm)
    return np.stack([sampled(smooth, at) for at in places])


def packed_scans(
    parts: Sequence[ScanSlices], *, pixel_mm: float, dataset: str, setting: str, split: str
) -> Packed:
    """All scans in a row.

    Raises:
        InputError: they differ in units or origin.
    """

    def joined(of: Callable[[ScanSlices], np.ndarray]) -> np.ndarray:
        return np.concatenate([of(part) for part in parts])

    low, t1, head = (
        joined(lambda each: each.low),
        joined(lambda each: each.t1),
        joined(lambda each: each.head),
    )
    scans = [part.scan for part in parts]
    return Packed(
        dataset=dataset,
        setting=setting,
        split=split,
        lineage=common_lineage((scan.origin, scan.lineage) for scan in scans),
        affine_ras_mm=_slice_affine(pixel_mm),
        pixel_mm=pixel_mm,
        units=packed_units(_common_units(scans), truth=False),
        key=[key for part in parts for key in part.key],
        subject=[part.scan.participant for part in parts for _ in part.key],
        slice_mm=joined(lambda each: each.slice_mm),
        angle_deg=joined(lambda each: each.angle_deg),
        scale=np.array([activity_weighted_mean(image) for image in low]),
        t1_scale=np.array([activity_weighted_mean(image) for image in t1]),
        has_t1=np.array([part.scan.t1 is not None for part in parts for _ in part.key]),
        low=low,
        standard=joined(lambda each: each.standard),
        t1=t1,
        head=head,
        pet_lesions=np.zeros_like(head),
        t1_lesions=np.zeros_like(head),
    )


def common_pixel_mm(scans: Sequence[RegisteredScan], asked_mm: float | None) -> float:
    """The one size of pixels that all scans share: that asked for, else that of T1, or without of PET.

    Raises:
        InputError: the images differ in it, and none is asked for.
    """
    if asked_mm is not None:
        return asked_mm
    first, *others = scans
    for scan in others:
        if abs(scan.anatomy.voxel_mm[0] / first.anatomy.voxel_mm[0] - 1) > 1e-3:
            raise InputError(
                f"{scan.t1_origin}: voxels of {scan.anatomy.voxel_mm[0]:.4g} mm, but {first.t1_origin} "
                f"has {first.anatomy.voxel_mm[0]:.4g} mm; set invivo.slices.pixel_mm, on which both are "
                "sampled."
            )
    return float(first.anatomy.voxel_mm[0])


def _middle(positions_mm: np.ndarray) -> np.ndarray:
    """Middle of the box that holds all positions (n, 3)."""
    return (positions_mm.min(axis=0) + positions_mm.max(axis=0)) / 2


def _common_units(scans: Sequence[RegisteredScan]) -> str:
    first, *others = scans
    for scan in others:
        if scan.units != first.units:
            raise InputError(f"{scan.origin} is in {scan.units}, but {first.origin} in {first.units}.")
    return first.units


def _slice_affine(pixel_mm: float) -> np.ndarray:
    """From (slice offset in mm, y, x, 1) to mm to the right, front and top of the slices' middle."""
    affine = np.zeros((4, 4))
    affine[0, 2], affine[1, 1], affine[2, 0], affine[3, 3] = pixel_mm, -pixel_mm, 1.0, 1.0
    return affine
