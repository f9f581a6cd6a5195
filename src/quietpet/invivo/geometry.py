"""Whether an image is where its side-car and its companion say it is."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from quietpet.files.placement import SIZE_TOLERANCE, Fault, corners, numbers
from quietpet.files.series import ImageHeader

_OVERLAP, _LEAST_MM = 0.5, 1e-3
_OPPOSITE = -0.9


def dicom_faults(header: ImageHeader, cosines: Sequence[float] | None) -> Iterator[Fault]:
    """Whether the first axis runs as DICOM's rows do (``ImageOrientationPatientDICOM``).

    Converters may reverse rows and slices of transaxial images, not columns: an opposite first axis
    means that left and right were swapped in the affine. Says nothing where axes were permuted.
    """
    if cosines is None or len(cosines) != 6:
        return
    # DICOM's patient axes point left, posterior, up; NIfTI's right, anterior, up.
    row = np.array(cosines[:3], dtype=float) * [-1, -1, 1]
    axis = header.affine_ras_mm[:3, 0] / np.linalg.norm(header.affine_ras_mm[:3, 0])
    if row @ axis < _OPPOSITE:
        yield Fault(
            severity="error",
            key="affine",
            value=f"first axis {numbers(axis)}",
            expected=f"first axis {numbers(row)}",
            evidence=f"ImageOrientationPatientDICOM is {cosines}: left and right are swapped",
        )


def voxel_faults(header: ImageHeader, stated_mm: Sequence[float] | None) -> Iterator[Fault]:
    """Whether voxels are as large as the side-car's ``ImageVoxelSize`` says."""
    if stated_mm is None or len(stated_mm) != 3:
        return
    apart_mm = np.abs(np.array(header.voxel_mm) - stated_mm)
    if (apart_mm > SIZE_TOLERANCE * np.array(header.voxel_mm)).any():
        yield Fault(
            severity="warning",
            key="ImageVoxelSize",
            value=numbers(stated_mm),
            expected=numbers(header.voxel_mm),
            evidence="the image's header",
            correction="the image's header is read",
        )


def companion_faults(pet: ImageHeader, t1: ImageHeader) -> Iterator[Fault]:
    """Whether PET and T1 of one session look at the same place at all."""
    boxes = [
        np.array([header.affine_ras_mm[:3] @ [*c, 1] for c in corners(header.frame_shape)])
        for header in (pet, t1)
    ]
    low = np.maximum(*(box.min(axis=0) for box in boxes))
    high = np.minimum(*(box.max(axis=0) for box in boxes))
    # An image of one slice, which is none of a head, has no extent across it.
    smaller = np.maximum(np.minimum(*(np.ptp(box, axis=0) for box in boxes)), _LEAST_MM)
    shared = np.clip(high - low, 0, None) / smaller
    if shared.min() < _OVERLAP:
        yield Fault(
            severity="warning",
            key="affine",
            value=f"shares {numbers(100 * shared)} % of the field of view along x, y, z",
            expected=f"at least {100 * _OVERLAP:g} %",
            evidence=f"compared with {t1.file}: one of the two positions is wrong or mirrored",
        )
