"""Volumes as SimpleITK's images."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import SimpleITK as sitk

from quietpet.geometry.volume import Volume

LPS_FROM_RAS = np.diag([-1.0, -1.0, 1.0, 1.0])
"""ITK's world has x to the subject's left and y to the back; the matrix is its own inverse."""


@contextmanager
def one_thread() -> Iterator[None]:
    """Filters and metrics follow ITK's global number of threads; sums then come in one order."""
    before = sitk.ProcessObject.GetGlobalDefaultNumberOfThreads()
    sitk.ProcessObject.SetGlobalDefaultNumberOfThreads(1)
    try:
        yield
    finally:
        sitk.ProcessObject.SetGlobalDefaultNumberOfThreads(before)


def image(volume: Volume) -> sitk.Image:
    """The same voxels at the same place."""
    affine = LPS_FROM_RAS @ volume.affine_ras_mm
    made = sitk.GetImageFromArray(np.ascontiguousarray(volume.values.transpose(2, 1, 0)))
    made.SetSpacing(volume.voxel_mm.tolist())
    made.SetOrigin(affine[:3, 3].tolist())
    made.SetDirection((affine[:3, :3] / volume.voxel_mm).ravel().tolist())
    return made


def read_matrix(path: Path) -> np.ndarray:
    """The 4 x 4 matrix, RAS mm to RAS mm, of a linear transform in an ITK file.

    Raises:
        ValueError: the file holds no transform, or one that is not linear.
    """
    try:
        transform = sitk.ReadTransform(str(path))
    except RuntimeError:
        raise ValueError("ITK cannot read it as a transform of three dimensions") from None
    if transform.GetDimension() != 3 or not transform.IsLinear():
        dimension = transform.GetDimension()
        raise ValueError(
            f"it holds a {transform.GetName()} of {dimension} dimensions, no linear one of 3"
        )
    at_origin = np.array(transform.TransformPoint((0.0, 0.0, 0.0)))
    matrix = np.eye(4)
    matrix[:3, 3] = at_origin
    for axis, unit in enumerate(np.eye(3)):
        matrix[:3, axis] = transform.TransformPoint(unit.tolist()) - at_origin
    return LPS_FROM_RAS @ matrix @ LPS_FROM_RAS
