"""A small packed data set in the real schema: a noisy disc with a bright ring, and its T1."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from scipy.ndimage import gaussian_filter

from quietpet.data.scaling import activity_weighted_mean
from quietpet.files.hdf5 import write_hdf5
from quietpet.geometry.grid import mmr_grid

PIXELS = 64
LINEAGE = {"data_source": "template", "projector": "embedded"}


def write_splits(
    folder: Path, splits: tuple[str, ...] = ("train", "validation", "test"), **options: Any
) -> dict[str, Path]:
    """One file per split, each of other images; ``options`` are those of :func:`write_packed`."""
    return {
        split: write_packed(folder / f"{split}.h5", split=split, seed=seed, **options)
        for seed, split in enumerate(splits)
    }


def write_packed(
    path: Path, *, split: str = "train", slices: int = 6, pixels: int = PIXELS, seed: int = 0,
    dataset: str = "phantom", setting: str = "low", data_source: str = "template", contrast: float = 1.0,
    without_t1: tuple[int, ...] = (),
) -> Path:  # fmt: skip
    """Write a file of kind "dataset"; images are of order 100, so that scaling matters.

    The ring is ``40 + 60 * contrast`` on a disc of 40. ``without_t1`` are rows.
    """
    rng = np.random.default_rng(seed)
    radius = np.hypot(*np.meshgrid(*[np.arange(pixels) - pixels // 2] * 2, indexing="ij"))
    head = np.broadcast_to(radius < pixels * 0.36, (slices, pixels, pixels))
    ring = np.stack([abs(radius - pixels * rng.uniform(0.18, 0.27)) < 3 for _ in range(slices)])
    truth = (40.0 * head + 60.0 * contrast * ring).astype(np.float32)
    standard = gaussian_filter(truth, (0, 0.6, 0.6))
    noisy = np.maximum(standard + head * rng.normal(0, 25, truth.shape), 0)
    low = gaussian_filter(noisy, (0, 0.8, 0.8)).astype(np.float32)
    t1 = (150.0 * head - 80.0 * ring).astype(np.float32)
    t1[list(without_t1)] = np.nan
    none = np.zeros(truth.shape, np.uint8)
    arrays = {
        "low": low, "standard": standard, "t1": t1, "truth": truth, "head": head.astype(np.uint8),
        "pet_lesions": none, "t1_lesions": none, "labels": none,
        "key": np.array([f"{seed:02d}_s{row}_r0" for row in range(slices)]),
        "subject": np.full(slices, f"{seed:02d}"),
        "slice_mm": np.arange(slices, dtype=float), "angle_deg": np.zeros(slices),
        "scale": np.array([activity_weighted_mean(image) for image in low]),
        "t1_scale": np.array([activity_weighted_mean(image) for image in t1]),
        "has_t1": np.isin(range(slices), without_t1, invert=True),
    }  # fmt: skip
    attributes = {
        "dataset": dataset,
        "setting": setting,
        "split": split,
        "affine_ras_mm": mmr_grid(pixels).affine_ras_mm.tolist(),
        "lineage": {**LINEAGE, "data_source": data_source},
        "provenance": {},
    }
    write_hdf5(path, kind="dataset", arrays=arrays, attributes=attributes)
    return path
