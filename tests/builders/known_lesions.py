"""Made-up noise realisations: white noise on an even background, and discs of known contrast."""

from __future__ import annotations

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
    subjects: tuple[str, ...] = ("04",),
    lesions=LESIONS,
    amplitude: float = 1.0,
    seed: int = 0,
) -> Realisations:
    """White noise of unit variance on 100, and discs of ``amplitude`` times their contrast."""
    table, rows = [], []
    for subject in subjects:
        table += [
            {
                "subject": subject, "slice_index": 50, "lesion_set": "present", "number": number,
                "radius_mm": radius, "contrast": contrast, "centre_yx": list(centre),
            }
            for number, (radius, contrast, centre) in enumerate(lesions, start=1)
        ]  # fmt: skip
        rows += [(subject, name, draw) for name in (ABSENT, "present") for draw in range(count)]
    y, x = np.mgrid[:PIXELS, :PIXELS]
    discs = [
        contrast * (PIXEL_MM * np.hypot(y - cy, x - cx) <= radius)
        for radius, contrast, (cy, cx) in lesions
    ]
    signal = amplitude * np.sum(discs, axis=0)
    truth = np.stack([100.0 + signal * (name != ABSENT) for _, name, _ in rows])
    low = truth + np.random.default_rng(seed).standard_normal(truth.shape)
    none = np.zeros(truth.shape, np.uint8)
    return Realisations(
        origin="realisations.h5", dataset="phantom", setting="low", lineage={}, pixel_mm=PIXEL_MM,
        key=[f"{subject}/{name}/n{draw}" for subject, name, draw in rows],
        subject=[subject for subject, _, _ in rows], slice_index=np.full(len(rows), 50),
        lesion_set=[name for _, name, _ in rows], realisation=np.array([draw for _, _, draw in rows]),
        lesions=table, truth=truth, standard=truth, low=low, head=none + 1, labels=none,
        pet_lesions=none, t1_lesions=none, t1=truth, has_t1=np.ones(len(rows), bool),
        slice_mm=np.zeros(len(rows)), angle_deg=np.zeros(len(rows)), units={},
    )  # fmt: skip
