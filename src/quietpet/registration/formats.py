"""A transform as the files that other programs read."""

from __future__ import annotations

import numpy as np

from quietpet.geometry.volume import Volume
from quietpet.registration.volume import RigidTransform

_LPS_FROM_RAS = np.diag([-1.0, -1.0, 1.0, 1.0])

_MATRIX_HEADER = """\
# Row-major 4 x 4 matrix from T1 world to PET world, both RAS+ in mm: PET_world = M @ (x, y, z, 1).
# SPM: M = VF.mat * inv(new VF.mat); new VF.mat = inv(M) * VF.mat puts PET's voxels into T1 world.
"""


def transform_texts(transform: RigidTransform, *, fixed: Volume, moving: Volume) -> dict[str, str]:
    """The transform as each program reads it: ``itk``, ``matrix`` and ``fsl``."""
    return {
        "itk": itk_text(transform),
        "matrix": matrix_text(transform),
        "fsl": fsl_text(transform, fixed=fixed, moving=moving),
    }


def itk_text(transform: RigidTransform) -> str:
    """An ITK transform file (``.tfm``): fixed to moving points in LPS, as ITK resamples."""
    matrix = _LPS_FROM_RAS @ transform.fixed_to_moving @ _LPS_FROM_RAS
    return (
        "#Insight Transform File V1.0\n"
        "#Transform 0\n"
        "Transform: AffineTransform_double_3_3\n"
        f"Parameters: {_numbers([*matrix[:3, :3].ravel(), *matrix[:3, 3]])}\n"
        "FixedParameters: 0 0 0\n"
    )


def matrix_text(transform: RigidTransform) -> str:
    """The matrix itself, in RAS mm from T1 to PET; ``numpy.loadtxt`` reads it."""
    return _MATRIX_HEADER + _rows(transform.fixed_to_moving)


def fsl_text(transform: RigidTransform, *, fixed: Volume, moving: Volume) -> str:
    """The matrix of ``flirt -in PET -ref T1 -applyxfm -init``."""
    to_fixed = transform.inverse.fixed_to_moving
    matrix = (
        _fsl_from_index(fixed)
        @ np.linalg.inv(fixed.affine_ras_mm)
        @ to_fixed
        @ moving.affine_ras_mm
        @ np.linalg.inv(_fsl_from_index(moving))
    )
    return _rows(matrix)


def _fsl_from_index(volume: Volume) -> np.ndarray:
    """FSL's coordinates: mm along the voxel axes, x reversed where indices are right-handed.

    FSL's FAQ of FLIRT, "What is the format of the matrix used by FLIRT?".
    """
    scale = np.diag([*volume.voxel_mm, 1.0])
    if np.linalg.det(volume.affine_ras_mm) > 0:
        scale[0, 3] = (volume.values.shape[0] - 1) * volume.voxel_mm[0]
        scale[0, 0] = -scale[0, 0]
    return scale


def _rows(matrix: np.ndarray) -> str:
    return "".join(f"{_numbers(row)}\n" for row in matrix)


def _numbers(values: np.ndarray | list[float]) -> str:
    return " ".join(f"{value:.12g}" for value in values)
