"""Tissue classes of the label volumes, and the value that each class gets in a map.

Every phantom, BrainWeb or template, is a volume of the codes below. Lesions are painted into such a
volume as codes of their own, so that one 256-entry table turns any volume into activity, mu or T1.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntEnum

import numpy as np

from quietpet.config.phantoms import TissueValues

CENTRE_MNI_MM = (18.0, -18.0, 0.0)
"""MNI position (z, y, x) of the middle of a BrainWeb volume, and of a template phantom.

BrainWeb's volumes lie in that space: between masks of their brains (grey and white matter, closed) and
that of the ICBM152 template, on 4 mm, Dice's coefficient is 0.915 to 0.949 over the 20 heads, and the
centroids are at most 2.4 mm apart.
"""

LESION_BASE = 192
"""Lesion number n (1 to 63) is painted as code LESION_BASE + n, above every tissue code."""


class Tissue(IntEnum):
    """BrainWeb tissue classes (class number times 16)."""

    AIR = 0
    CSF = 16
    GREY_MATTER = 32
    WHITE_MATTER = 48
    FAT = 64
    MUSCLE = 80
    SKIN = 96
    SKULL = 112
    VESSELS = 128
    AROUND_FAT = 144
    DURA = 160
    MARROW = 176


@dataclass(frozen=True, kw_only=True)
class LabelVolume:
    """Cubic voxels of tissue (or lesion) codes, uint8, indexed (z, y, x).

    z runs from the feet to the head, y from anterior to posterior, x to the subject's right. The middle
    of the array lies in the middle of the scanner's field of view.

    ``mni_mm`` has three arrays like ``codes``: where a voxel lies in MNI space, in mm from CENTRE_MNI_MM
    along z, y and x of the array. None: where it lies in the array.
    """

    codes: np.ndarray
    voxel_mm: float
    mni_mm: tuple[np.ndarray, ...] | None = None


def value_table(values: TissueValues, lesion_values: Mapping[int, float] | None = None) -> np.ndarray:
    """Value of every possible code, float32, shape (256,).

    ``lesion_values`` maps lesion numbers to values. Codes that are in no volume get the value of air.
    """
    table = np.full(256, values.air, np.float32)
    for tissue in Tissue:
        table[tissue] = getattr(values, tissue.name.lower())
    for number, value in (lesion_values or {}).items():
        table[LESION_BASE + number] = value
    return table


def lesion_numbers(codes: np.ndarray) -> np.ndarray:
    """Lesion number of painted ``codes``, uint8; 0 where there is no lesion."""
    return np.where(codes > LESION_BASE, codes - np.uint8(LESION_BASE), np.uint8(0))
