"""Transforms that the user gives, in the formats in which registered scans are written."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np

from quietpet.errors import InputError
from quietpet.registration.volume import RigidTransform

_ITK_HEADER = "#Insight Transform File"


def read_transform(path: Path) -> RigidTransform:
    """From T1 to PET: an ITK text file, or a 4 x 4 matrix in RAS mm with comments after ``#``.

    What the file begins with tells which, since ITK's may be called .txt as well. That the transform
    belongs to a scan, and goes in this direction, the images must show.

    Raises:
        InputError: neither of these, not finite, or no rotation and translation.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
        matrix = _itk_matrix(path) if text.lstrip().startswith(_ITK_HEADER) else _matrix(text)
        return RigidTransform(fixed_to_moving=matrix)
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror}).") from None
    except ValueError as error:  # of the encoding too
        raise InputError(
            f"{path}: no rigid transform from T1 to PET ({error}); registration.transform names ITK "
            "text files (.tfm) or 4 x 4 matrices in RAS mm (.txt), like t1_to_pet.tfm and "
            "t1_to_pet_ras_mm.txt of a registered scan."
        ) from None


def _itk_matrix(path: Path) -> np.ndarray:
    from quietpet.registration.itk import read_matrix  # noqa: PLC0415 (matrices do without SimpleITK)

    return read_matrix(path)


def _matrix(text: str) -> np.ndarray:
    lines = [line.partition("#")[0].strip() for line in text.splitlines()]
    if not any(lines):
        raise ValueError("the file holds no numbers")
    return np.loadtxt(io.StringIO(text), ndmin=2)
