"""Transform files mean in other programs what they mean here."""

from __future__ import annotations

import io

import numpy as np
import pytest

from quietpet.geometry.volume import Volume
from quietpet.registration.formats import fsl_text, itk_text, matrix_text
from quietpet.registration.volume import RigidTransform

TRANSFORM = RigidTransform.from_rotation(
    euler_deg=(12, -7, 31), translation_mm=(4, -9, 15), centre_mm=(10, 20, -5)
)
POINTS_MM = np.array([[0.0, 0.0, 0.0], [80.0, -3.0, 11.0], [-35.0, 60.0, -42.0]])


def grid(shape, affine):
    return Volume(values=np.zeros(shape, np.float32), affine_ras_mm=affine)


def matrix(text):
    return np.loadtxt(io.StringIO(text))


def test_itk_reads_the_transform(tmp_path):
    """In ITK's world x points to the subject's left and y to the back."""
    sitk = pytest.importorskip("SimpleITK")
    path = tmp_path / "transform.tfm"
    path.write_text(itk_text(TRANSFORM))
    read = sitk.ReadTransform(str(path))
    for ras, expected in zip(POINTS_MM, TRANSFORM.apply(POINTS_MM), strict=True):
        x, y, z = read.TransformPoint((-ras[0], -ras[1], ras[2]))
        np.testing.assert_allclose((-x, -y, z), expected, atol=1e-8)


def test_the_matrix_is_read_back():
    np.testing.assert_allclose(matrix(matrix_text(TRANSFORM)), TRANSFORM.fixed_to_moving, rtol=1e-10)


@pytest.mark.parametrize("mirrored", [True, False], ids=["radiological", "neurological"])
def test_fsl_shifts_by_voxels(mirrored):
    """PET that lies 3 voxels of 2 mm further along the array's first axis is brought back by 6 mm.

    FSL counts x from the subject's right whatever the array does, so the sign follows the array.
    """
    sign = -1.0 if mirrored else 1.0
    fixed = grid((50, 40, 30), np.diag([sign * 2.0, 2.0, 2.0, 1.0]))
    transform = RigidTransform.from_rotation(translation_mm=(sign * 6.0, 0, 0))
    expected = np.eye(4)
    expected[0, 3] = -6.0 if mirrored else 6.0
    np.testing.assert_allclose(
        matrix(fsl_text(transform, fixed=fixed, moving=fixed)), expected, atol=1e-9
    )


def test_fsl_maps_corresponding_voxels_onto_each_other():
    """FSL's millimetres of a voxel are index times size, from the other end of x where det > 0."""
    tilt = RigidTransform.from_rotation(euler_deg=(5, 8, -3)).fixed_to_moving
    fixed = grid((50, 40, 30), tilt @ np.diag([-1.0, 1.5, 2.0, 1.0]))
    moving = grid((70, 60, 20), np.diag([2.0, 2.5, 3.0, 1.0]))
    fsl = matrix(fsl_text(TRANSFORM, fixed=fixed, moving=moving))
    voxels = np.array([[1.0, 2.0, 3.0], [40.0, 30.0, 20.0]])
    in_pet = moving.indices(TRANSFORM.apply(fixed.world_mm(voxels)))
    from_fixed = voxels * (1.0, 1.5, 2.0)
    from_moving = np.array([(69.0, 0, 0)] * 2) * (2.0, 1, 1) + in_pet * (-2.0, 2.5, 3.0)
    np.testing.assert_allclose(from_moving @ fsl[:3, :3].T + fsl[:3, 3], from_fixed, atol=1e-6)
