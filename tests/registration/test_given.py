"""Transforms of the user's: what the project writes is read back, and nothing else passes for one."""

from __future__ import annotations

import numpy as np
import pytest
import SimpleITK as sitk

from quietpet.errors import InputError
from quietpet.registration.formats import itk_text, matrix_text
from quietpet.registration.given import read_transform
from quietpet.registration.volume import RigidTransform

TRANSFORM = RigidTransform.from_rotation(
    euler_deg=(12, -7, 31), translation_mm=(4, -9, 15), centre_mm=(10, 20, -5)
)
MATRIX = matrix_text(TRANSFORM)
POINTS_MM = np.array([[0.0, 0.0, 0.0], [80.0, -3.0, 11.0], [-35.0, 60.0, -42.0]])


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("t1_to_pet.tfm", itk_text(TRANSFORM)),
        ("an_itk_file.txt", itk_text(TRANSFORM)),
        ("t1_to_pet_ras_mm.txt", MATRIX),
        ("with_windows_ends.txt", "\ufeff" + MATRIX.replace("\n", "\r\n")),
        ("bare.txt", "\n".join(line for line in MATRIX.splitlines() if not line.startswith("#"))),
    ],
)
def test_what_the_project_writes_is_read_back(tmp_path, name, text):
    path = tmp_path / name
    path.write_bytes(text.encode())
    np.testing.assert_allclose(
        read_transform(path).fixed_to_moving, TRANSFORM.fixed_to_moving, atol=1e-9
    )


@pytest.mark.parametrize("kind", [sitk.Euler3DTransform, sitk.VersorRigid3DTransform])
def test_rigid_transforms_of_itk_keep_their_meaning(tmp_path, kind):
    """Points of ITK are LPS; a rotation has a centre there."""
    written = kind()
    written.SetCenter((10.0, -20.0, 30.0))
    written.SetTranslation((4.0, 5.0, -6.0))
    if kind is sitk.Euler3DTransform:
        written.SetRotation(0.1, -0.2, 0.3)
    else:
        written.SetRotation((1.0, 2.0, -1.0), 0.4)
    path = tmp_path / "itk.tfm"
    sitk.WriteTransform(written, str(path))
    found = read_transform(path).apply(POINTS_MM)
    for ras, point in zip(POINTS_MM, found, strict=True):
        x, y, z = written.TransformPoint((-ras[0], -ras[1], ras[2]))
        np.testing.assert_allclose(point, (-x, -y, z), atol=1e-6)


SHEARED = np.eye(4) + np.eye(4, k=1) * (0.0, 0.1, 0.0, 0.0)
SCALED = np.diag([1.02, 1.02, 1.02, 1.0])
MIRRORED = np.diag([-1.0, 1.0, 1.0, 1.0])


def rows(matrix):
    return "\n".join(" ".join(map(str, row)) for row in np.asarray(matrix))


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        (rows(SHEARED), "not a rotation and a translation"),
        (rows(SCALED), "not a rotation and a translation"),
        (rows(MIRRORED), "not a rotation and a translation"),
        (rows(np.eye(3)), "not a finite 4 x 4 matrix"),
        (rows(np.vstack([np.eye(3, 4), [0, 0, 1, 1]])), "not a rotation and a translation"),
        (rows(np.diag([1, 1, np.nan, 1])), "not a finite 4 x 4 matrix"),
        (rows(np.diag([1, 1, np.inf, 1])), "not a finite 4 x 4 matrix"),
        ("", "the file holds no numbers"),
        ("# a comment alone\n", "the file holds no numbers"),
        ("1 0 0 0\n0 1 0\n", "columns"),
        ("version = 3\n", "convert"),
        (b"\x89PNG\r\n\x1a\n\xff\x00", "decode"),
        ("#Insight Transform File V1.0\n", "ITK cannot read it"),
        (itk_text(TRANSFORM).replace("Parameters: ", "Parameters: nan "), "ITK cannot read|finite"),
        (
            "#Insight Transform File V1.0\n#Transform 0\nTransform: Euler2DTransform_double_2_2\n"
            "Parameters: 0 1 2\nFixedParameters: 0 0\n",
            "of 2 dimensions",
        ),
        (
            "#Insight Transform File V1.0\n#Transform 0\nTransform: AffineTransform_double_3_3\n"
            "Parameters: 1.1 0 0 0 1 0 0 0 1 4 5 6\nFixedParameters: 0 0 0\n",
            "not a rotation and a translation",
        ),
    ],
)
def test_other_files_are_named(tmp_path, content, complaint):
    path = tmp_path / "some transform.txt"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(
        InputError, match=rf"some transform\.txt: no rigid transform from T1 to PET \(.*({complaint})"
    ):
        read_transform(path)


def test_a_missing_file_and_a_folder_are_named(tmp_path):
    for path in (tmp_path / "absent.tfm", tmp_path):
        with pytest.raises(InputError, match=rf"{path.name}: cannot be read"):
            read_transform(path)
