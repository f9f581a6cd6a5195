"""Made-up noise realisations: white noise on an even background, and discs of known contrast."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence

import numpy as np

from quietpet.config.realisations import ABSENT
from quietpet.files.realisations import Realisations

PIXEL_MM, PIXELS = 2.0, 64

Lesion = tuple[float, float, tuple[float, float]]
"""Radius [mm], contrast and centre [pixels]."""

LESIONS: tuple[Lesion, ...] = (
    (7.0, 1.0, (20.0, 20.0)),
    (5.0, 1.0, (20.3, 44.6)),
    (5.0, -0.5, (44.0, 32.0)),
)
"""Of every slice."""


def realisations(
    count: int,
    *,
    subjects: Sequence[str] = ("04",),
    slices: Sequence[int] = (50,),
    lesions: Sequence[Lesion] = LESIONS,
    sets: Mapping[str, Sequence[Lesion]] | None = None,
    amplitude: float = 1.0,
    seed: int = 0,
) -> Realisations:
    """White noise of unit variance on 100, and discs of ``amplitude`` times their contrast.

    ``lesions`` are those of the one set, "present", unless ``sets`` names several.
    """
    sets = sets or {"present": lesions}
    signals = {ABSENT: np.zeros((PIXELS, PIXELS))} | {
        name: amplitude * np.sum([disc(each) for each in members], axis=0)
        for name, members in sets.items()
    }
    table = [
        {
            "subject": subject, "slice_index": index, "lesion_set": name, "number": number,
            "radius_mm": radius, "contrast": contrast, "centre_yx": list(centre),
        }
        for subject in subjects
        for index in slices
        for name, members in sets.items()
        for number, (radius, contrast, centre) in enumerate(members, start=1)
    ]  # fmt: skip
    rows = [*itertools.product(subjects, slices, signals, range(count))]
    truth = np.stack([100.0 + signals[name] for _, _, name, _ in rows])
    low = truth + np.random.default_rng(seed).standard_normal(truth.shape)
    none = np.zeros(truth.shape, np.uint8)
    return Realisations(
        origin="realisations.h5", dataset="phantom", setting="low", lineage={}, pixel_mm=PIXEL_MM,
        key=["/".join(map(str, row)) for row in rows], subject=[row[0] for row in rows],
        slice_index=np.array([row[1] for row in rows]), lesion_set=[row[2] for row in rows],
        realisation=np.array([row[3] for row in rows]), lesions=table, truth=truth, standard=truth,
        low=low, head=none + 1, labels=none, pet_lesions=none, t1_lesions=none, t1=truth,
        has_t1=np.ones(len(rows), bool), slice_mm=np.zeros(len(rows)), angle_deg=np.zeros(len(rows)),
        units={},
    )  # fmt: skip


def disc(lesion: Lesion) -> np.ndarray:
    """Its contrast inside, 0 elsewhere (y, x)."""
    radius, contrast, (centre_y, centre_x) = lesion
    y, x = np.mgrid[:PIXELS, :PIXELS]
    return contrast * (PIXEL_MM * np.hypot(y - centre_y, x - centre_x) <= radius)
