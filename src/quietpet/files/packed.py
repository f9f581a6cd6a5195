"""The HDF5 file of a packed data set, of phantoms and of scans alike."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from quietpet.files.hdf5 import write_hdf5
from quietpet.files.lineage import Lineage

_ACTIVITIES = ("low", "standard", "truth")


def write_dataset(
    target: Path,
    arrays: Mapping[str, Any],
    *,
    dataset: str,
    setting: str,
    split: str,
    affine_ras_mm: np.ndarray,
    pixel_mm: float,
    activity_units: str,
    lineage: Lineage,
    provenance: Mapping[str, Any],
) -> None:
    """Write ``arrays`` of :class:`quietpet.data.dataset.PairDataset`, images being (slice, y, x).

    ``affine_ras_mm`` takes (slice offset in mm, y, x, 1) to mm to the right, front and top.
    """
    activities = [name for name in _ACTIVITIES if name in arrays]
    write_hdf5(
        target,
        kind="dataset",
        arrays=arrays,
        attributes={
            "axes": "(slice, y, x)",
            "dataset": dataset,
            "setting": setting,
            "split": split,
            "affine_ras_mm": affine_ras_mm.tolist(),
            "pixel_mm": pixel_mm,
            "units": {**dict.fromkeys(activities, activity_units), "t1": "arbitrary"},
            "lineage": lineage,
            "provenance": provenance,
        },
    )
