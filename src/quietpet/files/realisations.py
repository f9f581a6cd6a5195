"""Files of noise realisations: packed data sets whose rows are realisations of slices with lesions.

To restore them, they are packed data sets like others.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, ClassVar, NamedTuple

import numpy as np

from quietpet.files.lineage import Lineage
from quietpet.files.packed import Packed, ReferenceSlices
from quietpet.files.records import ARRAY, TEXTS, VALUES, Record


@dataclass(frozen=True, kw_only=True)
class KnownLesion:
    """A disc that is painted into the PET of one slice, and not into its T1.

    ``number`` is that of its pixels in ``pet_lesions``. Its activity is 1 + ``contrast`` times that of
    white matter. ``centre_yx`` is its middle in pixels of the packed images.
    """

    subject: str
    slice_index: int
    lesion_set: str
    number: int
    radius_mm: float
    contrast: float
    centre_yx: tuple[float, float]

    @property
    def hot(self) -> bool:
        return self.contrast > 0


class Twin(NamedTuple):
    """What all realisations of a slice with one lesion set have in common."""

    subject: str
    slice_index: int
    lesion_set: str


@dataclass(frozen=True, kw_only=True, eq=False)
class PackedRealisations(Packed):
    """All of a packed data set of realisations.

    Of each row, (row,): its ``slice_index`` on the scanner's grid, its ``lesion_set`` ("absent" without
    any) and the number of its ``realisation``. ``lesions`` are those of all sets, as the fields of
    :class:`KnownLesion`.
    """

    slice_index: np.ndarray = field(metadata=ARRAY)
    lesion_set: list[str] = field(metadata=TEXTS)
    realisation: np.ndarray = field(metadata=ARRAY)
    lesions: list[dict[str, Any]]


@dataclass(frozen=True, kw_only=True, eq=False)
class Realisations(ReferenceSlices):
    """What measures restored realisations needs of them: images (row, y, x), in the unit of the data.

    ``truth`` is the same in all realisations of a :class:`Twin`. Rows are those of
    :class:`PackedRealisations`.
    """

    dataset: str
    setting: str
    lineage: Lineage
    pixel_mm: float
    units: dict[str, str]
    low: np.ndarray = field(metadata=VALUES)
    truth: np.ndarray = field(metadata=ARRAY)
    labels: np.ndarray = field(metadata=ARRAY)
    slice_index: np.ndarray = field(metadata=ARRAY)
    lesion_set: list[str] = field(metadata=TEXTS)
    realisation: np.ndarray = field(metadata=ARRAY)
    lesions: list[dict[str, Any]]

    @property
    def twins(self) -> dict[Twin, np.ndarray]:
        """Rows of each slice with each lesion set, in the order of their realisations."""
        found: dict[Twin, list[int]] = {}
        names = zip(self.subject, map(int, self.slice_index), self.lesion_set, strict=True)
        for row, name in enumerate(names):
            found.setdefault(Twin(*name), []).append(row)
        return {
            twin: np.array(sorted(rows, key=lambda row: self.realisation[row]))
            for twin, rows in found.items()
        }

    @property
    def known_lesions(self) -> tuple[KnownLesion, ...]:
        """Every lesion of every slice and set."""
        return tuple(_lesions(self.lesions))


def _lesions(table: list[dict[str, Any]]) -> Iterator[KnownLesion]:
    for row in table:
        y, x = row["centre_yx"]
        yield KnownLesion(**{**row, "centre_yx": (float(y), float(x))})


@dataclass(frozen=True, kw_only=True, eq=False)
class NoiseMaps(Record):
    """Bias and noise of every pixel of what was restored: maps (twin, y, x), in the unit of the data.

    ``bias`` is the mean over realisations less the truth, ``deviation`` their sample standard deviation.
    ``subject``, ``slice_index`` and ``lesion_set`` (twin,) name the :class:`Twin` of each map.
    """

    KIND: ClassVar[str] = "noise_maps"
    AXES: ClassVar[str] = "(twin, y, x)"

    dataset: str
    setting: str
    method: str
    learning: str
    lineage: Lineage
    subject: list[str] = field(metadata=TEXTS)
    slice_index: np.ndarray = field(metadata=ARRAY)
    lesion_set: list[str] = field(metadata=TEXTS)
    bias: np.ndarray = field(metadata=ARRAY)
    deviation: np.ndarray = field(metadata=ARRAY)
