"""All metrics of all slices of one restored data set, as long rows."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from quietpet.errors import InputError
from quietpet.evaluation.comparison import SliceImages
from quietpet.evaluation.metrics import METRICS

LINEAGE = ("data_source", "projector", "registration")
"""Facts that score files inherit from their inputs."""

SCORE_COLUMNS = (
    "dataset", "setting", "method", "learning", "replicate", "estimate", "subject", "key", "slice_mm",
    "angle_deg", "metric", "variant", "value", "spread_to_error", *LINEAGE,
)  # fmt: skip
"""Columns of a score file; ``value`` is empty where the metric is undefined in that slice.
``spread_to_error`` is one number of the whole file, empty for methods that draw one sample."""


@dataclass(frozen=True, kw_only=True)
class ReferenceSlices:
    """The standard dose that restored slices are compared with; arrays (slice, y, x) or (slice,).

    ``truth`` and ``labels`` are those of phantoms; scans have none.
    """

    keys: tuple[str, ...]
    subjects: tuple[str, ...]
    slice_mm: np.ndarray
    angle_deg: np.ndarray
    standard: np.ndarray
    t1: np.ndarray
    head: np.ndarray
    pet_lesions: np.ndarray
    t1_lesions: np.ndarray
    truth: np.ndarray | None = None
    labels: np.ndarray | None = None


def score_slices(
    estimates: Mapping[str, np.ndarray], reference: ReferenceSlices, *, paper_window_pixels: int
) -> Iterator[dict[str, Any]]:
    """One row per estimate, slice and metric.

    ``estimates`` maps "single" and "mean_of_K" to restored images (slice, y, x), in the units and order
    of ``reference``. Raises InputError naming the slice when it cannot be scored.
    """
    for estimate, restored in estimates.items():
        for index, key in enumerate(reference.keys):
            images = _slice_images(restored, reference, index)
            place = {
                "estimate": estimate,
                "subject": reference.subjects[index],
                "key": key,
                "slice_mm": float(reference.slice_mm[index]),
                "angle_deg": float(reference.angle_deg[index]),
            }
            for row in _measure_all(images, key=key, paper_window_pixels=paper_window_pixels):
                yield {**place, **row}


def require_finite_slices(images: np.ndarray, keys: tuple[str, ...], *, what: str) -> None:
    """Refuse NaN and infinity in ``images`` (slice, y, x), naming ``what`` and the first bad slice."""
    bad = np.flatnonzero(~np.isfinite(images).all(axis=(1, 2)))
    if bad.size:
        raise InputError(
            f"{what}: {bad.size} of {len(keys)} slices hold values that are not finite, "
            f"the first is {keys[bad[0]]!r}. Run the step that makes them again."
        )


def _slice_images(restored: np.ndarray, reference: ReferenceSlices, index: int) -> SliceImages:
    return SliceImages(
        restored=restored[index],
        standard=reference.standard[index],
        t1=reference.t1[index],
        head=reference.head[index] > 0,
        pet_lesions=reference.pet_lesions[index],
        t1_lesions=reference.t1_lesions[index],
        truth=None if reference.truth is None else reference.truth[index],
        labels=None if reference.labels is None else reference.labels[index],
    )


def _measure_all(images: SliceImages, *, key: str, paper_window_pixels: int) -> Iterator[dict[str, Any]]:
    for metric in METRICS:
        try:
            value = metric.measure(images, paper_window_pixels=paper_window_pixels)
        except InputError as error:
            raise InputError(f"slice {key!r}, {metric.name}: {error}") from None
        yield {
            "metric": metric.name,
            "variant": metric.variant.name,
            "value": "" if math.isnan(value) else value,
        }
