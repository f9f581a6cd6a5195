"""Transaxial slices of a phantom and their in-plane rotations about the scanner axis."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from quietpet.errors import InputError
from quietpet.files.phantoms import Phantom, PhantomSlices


@dataclass(frozen=True, kw_only=True)
class SliceRow:
    """One row of a slice file: which slice, turned how."""

    slice_index: int
    rotation: int
    angle_deg: float

    def key(self, subject: str) -> str:
        """Name of the row, such as ``04/z065/r0``."""
        return f"{subject}/z{self.slice_index:03d}/r{self.rotation}"


def draw_angles_deg(*, rotations: int, max_angle_deg: float, rng: np.random.Generator) -> np.ndarray:
    """Rotation angles shared by all slices of a phantom, shape (rotations,); the first is 0.

    The others are uniform in [-max_angle_deg, max_angle_deg] (FB-SEM training-set builder).
    """
    return np.concatenate([[0.0], rng.uniform(-max_angle_deg, max_angle_deg, rotations - 1)])


def slice_rows(indices: Sequence[int], angles_deg: np.ndarray) -> list[SliceRow]:
    """All rows: every slice in the order given, and within it every angle."""
    return [
        SliceRow(slice_index=index, rotation=rotation, angle_deg=float(angle_deg))
        for index in indices
        for rotation, angle_deg in enumerate(angles_deg)
    ]


def slices_of(planes: Phantom, *, indices: Sequence[int], angles_deg: np.ndarray) -> PhantomSlices:
    """Every one of the ``planes``, whose numbers are ``indices``, at every angle."""
    rows = slice_rows(indices, angles_deg)
    slice_mm, _, _, first_mm = planes.affine_ras_mm[2]
    index = np.array([row.slice_index for row in rows])

    def linear(planes: np.ndarray) -> np.ndarray:
        return cut_linear(planes, angles_deg)

    def nearest(planes: np.ndarray) -> np.ndarray:
        return cut_nearest(planes, angles_deg)

    return PhantomSlices(
        subject=planes.subject,
        affine_ras_mm=planes.affine_ras_mm,
        units=planes.units,
        lineage=planes.lineage,
        key=[row.key(planes.subject) for row in rows],
        slice_index=index,
        slice_mm=first_mm + slice_mm * index,
        angle_deg=np.array([row.angle_deg for row in rows]),
        rotation=np.array([row.rotation for row in rows]),
        activity=linear(planes.activity),
        mu_per_cm=linear(planes.mu_per_cm),
        t1=linear(planes.t1),
        fine_activity=None if planes.fine_activity is None else linear(planes.fine_activity),
        fine_mu_per_cm=None if planes.fine_mu_per_cm is None else linear(planes.fine_mu_per_cm),
        labels=nearest(planes.labels),
        pet_lesions=nearest(planes.pet_lesions),
        t1_lesions=nearest(planes.t1_lesions),
        regions=None if planes.regions is None else nearest(planes.regions),
        region_names=planes.region_names,
        head=nearest((planes.mu_per_cm > 0).astype(np.uint8)),
    )


def cut_linear(planes: np.ndarray, angles_deg: np.ndarray) -> np.ndarray:
    """All rows of a map (slice, y, x), linearly interpolated: shape (slice * rotation, y, x)."""
    return _cut(planes, angles_deg, order=1)


def cut_nearest(planes: np.ndarray, angles_deg: np.ndarray) -> np.ndarray:
    """All rows of labels or masks (slice, y, x), nearest neighbour: shape (slice * rotation, y, x)."""
    return _cut(planes, angles_deg, order=0)


def rotate(images: np.ndarray, angle_deg: float, *, order: int) -> np.ndarray:
    """Turn square images (..., y, x) about pixel (n // 2, n // 2), where the scanner axis is.

    A positive angle turns counter-clockwise as displayed with row 0 at the top. Angle 0 changes nothing.
    ``order``: 0 takes the nearest pixel, 1 interpolates linearly. The arithmetic is that of
    ``scipy.ndimage.affine_transform``, whose import takes longer than all rotations of a phantom.
    """
    if angle_deg == 0.0:
        return images
    n = images.shape[-1]
    pixels = images.reshape(-1, n * n)
    y, x = _source_positions(n, angle_deg)
    if order == 0:
        nearest = np.floor(y + 0.5).astype(np.intp) * n + np.floor(x + 0.5).astype(np.intp)
        return pixels.take(nearest, axis=1).reshape(images.shape)
    row, column = np.floor(y).astype(np.intp), np.floor(x).astype(np.intp)
    next_row, next_column = np.minimum(row + 1, n - 1), np.minimum(column + 1, n - 1)
    corners = [
        (source_row * n + source_column, row_weight, column_weight)
        for source_row, row_weight in ((row, 1 - (y - row)), (next_row, y - row))
        for source_column, column_weight in ((column, 1 - (x - column)), (next_column, x - column))
    ]
    turned = np.empty((len(pixels), n, n), images.dtype)
    for target, source in zip(turned, pixels, strict=True):
        target[:] = sum(source.take(index) * in_y * in_x for index, in_y, in_x in corners)
    return turned.reshape(images.shape)


def _source_positions(n_pixels: int, angle_deg: float) -> tuple[np.ndarray, np.ndarray]:
    """Rows and columns, (y, x) each, in fractional pixels, from which a rotation takes its values."""
    cosine, sine = np.cos(np.deg2rad(angle_deg)), np.sin(np.deg2rad(angle_deg))
    to_source = np.array([[cosine, sine], [-sine, cosine]])
    axis = np.array([n_pixels, n_pixels]) // 2
    offset = axis - to_source @ axis
    y, x = np.ogrid[:n_pixels, :n_pixels]
    # What comes from outside is what the border holds: air.
    return tuple(
        np.clip(start + y * along_y + x * along_x, 0, n_pixels - 1)
        for start, (along_y, along_x) in zip(offset, to_source, strict=True)
    )


def _cut(planes: np.ndarray, angles_deg: np.ndarray, *, order: int) -> np.ndarray:
    turned = [rotate(planes, angle_deg, order=order) for angle_deg in angles_deg]
    return np.stack(turned, axis=1).reshape(-1, *planes.shape[1:])


def require_activity(activity: np.ndarray, *, subject: str, indices: Sequence[int]) -> None:
    """Refuse slices that ``activity`` (z, y, x) lacks, or that are empty: no dose gives them counts."""
    if beyond := [index for index in indices if index >= len(activity)]:
        raise InputError(
            f"slices.indices or realisations.slices: slices {beyond} of subject {subject} do not exist; "
            f"the scanner has {len(activity)}, from 0."
        )
    if empty := [index for index in indices if not activity[index].any()]:
        raise InputError(
            f"slices.indices or realisations.slices: slices {empty} of subject {subject} hold no "
            "activity; choose slices between "
            f"{np.flatnonzero(activity.any(axis=(1, 2)))[[0, -1]].tolist()}."
        )


def require_inside_disc(head: np.ndarray, *, subject: str, indices: Sequence[int]) -> None:
    """Refuse slices ``indices`` of a head, (slice, y, x), that leave the disc of n/2 - 1 pixels.

    Some rotation would otherwise turn a part of the head out of the reconstructed image.
    """
    n_pixels = head.shape[-1]
    offset = np.arange(n_pixels) - n_pixels // 2
    radius = np.hypot(offset[:, None], offset)
    for index, plane in zip(indices, head, strict=True):
        reach = (radius * (plane != 0)).max()
        if reach > n_pixels / 2 - 1:
            raise InputError(
                f"subject {subject}, slice {index}: the head reaches {reach:.1f} pixels from the "
                f"scanner axis, but an image of {n_pixels} pixels holds {n_pixels / 2 - 1:.0f}; "
                "raise scanner.image_pixels."
            )
