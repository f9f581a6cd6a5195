"""Whether the header of an image says where the image is, in one way."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product
from typing import Any, Literal

import numpy as np

from quietpet.files.series import ImageHeader

_FARTHEST_MM = 1e6
SIZE_TOLERANCE = 0.01
_POSITION_MM = 1.0
COSINE_TOLERANCE = 4e-4
"""A tenth of a millimetre over a head: what a qform, which has no shear, is off then."""


@dataclass(frozen=True, kw_only=True)
class Fault:
    """One thing wrong with the geometry of an image; an "error" makes the image unusable."""

    severity: Literal["error", "warning"]
    key: str
    value: str
    expected: str
    evidence: str
    correction: str = "none"


def header_faults(header: ImageHeader) -> Iterator[Fault]:
    """What in a header contradicts itself."""
    matrix = header.affine_ras_mm[:3, :3]
    within = np.abs(header.affine_ras_mm).max() <= _FARTHEST_MM  # which NaN is not
    with np.errstate(divide="ignore"):
        singular = abs(np.linalg.det(matrix)) < 1e-9
    if not within or singular:
        yield Fault(
            severity="error",
            key="affine",
            value=numbers(header.affine_ras_mm),
            expected="finite, within a kilometre, with three independent axes",
            evidence="no voxel has a position",
        )
        return
    if header.space_units not in ("mm", "unknown"):
        yield Fault(
            severity="error",
            key="xyzt_units",
            value=header.space_units,
            expected="mm",
            evidence="NIfTI images of heads are in millimetres",
        )
    steps = np.linalg.norm(matrix, axis=0)
    if not (np.abs(header.voxel_mm - steps) <= SIZE_TOLERANCE * steps).all():
        yield Fault(
            severity="error",
            key="pixdim",
            value=numbers(header.voxel_mm),
            expected=numbers(steps),
            evidence="the affine steps by another size from voxel to voxel",
        )
    cosine = largest_cosine(header.affine_ras_mm)
    if cosine > COSINE_TOLERANCE:
        yield Fault(
            severity="error",
            key="affine",
            value=f"axes meet at {np.degrees(np.arccos(cosine)):.2f} degrees",
            expected="axes at right angles",
            evidence="no scanner's voxels are sheared, and registration is rigid: reslice the image",
        )
        return
    yield from _two_affines(header)


def largest_cosine(affine: np.ndarray) -> float:
    """Of the angles between the three axes of voxels, whatever their signs; 0 at right angles."""
    axes = affine[:3, :3] / np.linalg.norm(affine[:3, :3], axis=0)
    return float(np.abs(axes.T @ axes - np.eye(3)).max())


def _two_affines(header: ImageHeader) -> Iterator[Fault]:
    sform, qform = header.sform_ras_mm, header.qform_ras_mm
    if sform is None and qform is None:
        yield Fault(
            severity="error",
            key="sform_code, qform_code",
            value="0, 0",
            expected="at least one above 0",
            evidence="the header gives no position and no orientation: left and right are unknown",
        )
    if sform is None or qform is None:
        return
    if np.linalg.det(sform[:3, :3]) * np.linalg.det(qform[:3, :3]) < 0:
        yield Fault(
            severity="error",
            key="sform, qform",
            value=f"{_orientation(sform)}, {_orientation(qform)}",
            expected="one handedness",
            evidence="one is the mirror image of the other: left and right are swapped in one of them",
        )
        return
    with np.errstate(over="ignore"):
        apart_mm = max(
            float(np.linalg.norm((sform - qform) @ [*corner, 1]))
            for corner in corners(header.frame_shape)
        )
    if apart_mm > _POSITION_MM:
        yield Fault(
            severity="warning",
            key="sform, qform",
            value=f"{apart_mm:.1f} mm apart",
            expected="one position",
            evidence="programs differ in which of the two they read",
            correction="the sform is read",
        )


def corners(shape: tuple[int, ...]) -> Iterator[tuple[int, ...]]:
    """Indices of the outermost voxels."""
    return product(*((0, side - 1) for side in shape))


def _orientation(affine: np.ndarray) -> str:
    from nibabel.orientations import aff2axcodes  # noqa: PLC0415 (slow, and only messages need it)

    return "".join(str(code) for code in aff2axcodes(affine))


def numbers(values: Any) -> str:
    """As a report shows them."""
    rounded = np.round(np.asarray(values, dtype=float), 3) + 0.0
    return str(rounded.tolist())
