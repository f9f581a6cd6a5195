"""Transaxial slices of a phantom and their in-plane rotations about the scanner axis."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from quietpet.errors import InputError


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


def cut_linear(volume: np.ndarray, rows: Sequence[SliceRow]) -> np.ndarray:
    """The rows of a map (z, y, x), linearly interpolated: shape (rows, y, x)."""
    return np.stack([rotate(volume[row.slice_index], row.angle_deg, order=1) for row in rows])


def cut_nearest(volume: np.ndarray, rows: Sequence[SliceRow]) -> np.ndarray:
    """The rows of labels, numbers or masks (z, y, x), nearest neighbour: shape (rows, y, x)."""
    return np.stack([rotate(volume[row.slice_index], row.angle_deg, order=0) for row in rows])


def rotate(image: np.ndarray, angle_deg: float, *, order: int) -> np.ndarray:
    """Turn a square image (y, x) about pixel (n // 2, n // 2), where the scanner axis is.

    A positive angle turns counter-clockwise as displayed with row 0 at the top. Angle 0 changes nothing.
    """
    if angle_deg == 0.0:
        return image
    cosine, sine = np.cos(np.deg2rad(angle_deg)), np.sin(np.deg2rad(angle_deg))
    to_source = np.array([[cosine, sine], [-sine, cosine]])
    axis = np.array(image.shape) // 2
    # What comes from outside is what the border holds: air.
    return ndimage.affine_transform(
        image, to_source, offset=axis - to_source @ axis, order=order, mode="nearest"
    )


def require_activity(activity: np.ndarray, *, subject: str, indices: Sequence[int]) -> None:
    """Refuse slices that ``activity`` (z, y, x) lacks, or that are empty: no dose gives them counts."""
    if beyond := [index for index in indices if index >= len(activity)]:
        raise InputError(
            f"slices.indices: slices {beyond} of subject {subject} do not exist; the scanner has "
            f"{len(activity)}, from 0."
        )
    if empty := [index for index in indices if not activity[index].any()]:
        raise InputError(
            f"slices.indices: slices {empty} of subject {subject} hold no activity; choose slices "
            f"between {np.flatnonzero(activity.any(axis=(1, 2)))[[0, -1]].tolist()}."
        )


def require_inside_disc(head: np.ndarray, *, subject: str, indices: Sequence[int]) -> None:
    """Refuse slices of ``head`` (z, y, x) that leave the disc of n/2 - 1 pixels around the axis.

    Some rotation would otherwise turn a part of the head out of the reconstructed image.
    """
    n_pixels = head.shape[-1]
    offset = np.arange(n_pixels) - n_pixels // 2
    radius = np.hypot(offset[:, None], offset)
    for index in indices:
        reach = (radius * (head[index] != 0)).max()
        if reach > n_pixels / 2 - 1:
            raise InputError(
                f"subject {subject}, slice {index}: the head reaches {reach:.1f} pixels from the "
                f"scanner axis, but an image of {n_pixels} pixels holds {n_pixels / 2 - 1:.0f}; "
                "raise scanner.image_pixels."
            )
