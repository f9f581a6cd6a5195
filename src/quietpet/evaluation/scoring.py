"""All metrics of all slices of one restored data set, as long rows."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from quietpet.errors import InputError, replacing
from quietpet.evaluation.comparison import SliceImages
from quietpet.evaluation.metric import Metric, measured
from quietpet.evaluation.spread import spread_to_error
from quietpet.files.lineage import Lineage
from quietpet.files.packed import ReferenceSlices
from quietpet.files.restored import RestoredSlices
from quietpet.files.text import csv_cell

LINEAGE = ("data_source", "projector", "registration")
"""Facts that score files inherit from their inputs."""

SCORE_COLUMNS = (
    "dataset", "setting", "method", "learning", "replicate", "estimate", "subject", "key", "slice_mm",
    "angle_deg", "has_t1", "metric", "variant", "value", "spread_to_error", *LINEAGE,
)  # fmt: skip
"""Columns of a score file; ``value`` is empty where the metric is undefined in that slice. Metrics that
want the truth or tissues have no rows where a data set has none. The id of each metric is in the tables.
``has_t1``, True or False, says of the slice whether the data set has a T1 of it.
``spread_to_error`` is one number of the whole file, empty for methods that draw one sample."""


NAMED_BY = ("dataset", "setting", "method", "learning", "replicate")
"""What names one restoration, in files and in jobs."""

STANDARD = "standard dose"
"""The standard dose in the column ``method``; no method of a study has a space in its name."""

REFERENCE = "reference"
"""It in the column ``estimate``."""


def score_rows(
    restored: RestoredSlices,
    reference: ReferenceSlices,
    *,
    metrics: Sequence[Metric],
    paper_window_pixels: int,
) -> Iterator[dict[str, Any]]:
    """The rows of a score file, with all of :data:`SCORE_COLUMNS`.

    Raises InputError as :func:`estimates_of` and :func:`score_slices` do.
    """
    estimates = estimates_of(restored, reference)
    origin = {**names_of(restored), "spread_to_error": csv_cell(spread_of(restored, reference))}
    for row in score_slices(
        estimates, reference, metrics=metrics, paper_window_pixels=paper_window_pixels
    ):
        yield {**origin, **row}


def names_of(restored: RestoredSlices) -> dict[str, str]:
    """What was restored, how, and the facts that score files inherit."""
    return {name: getattr(restored, name) for name in NAMED_BY} | reported(restored.lineage)


def reported(lineage: Lineage) -> Lineage:
    """The facts that score files inherit, "-" for those that there are none of."""
    return {name: lineage.get(name, "-") for name in LINEAGE}


def score_slices(
    estimates: Mapping[str, np.ndarray],
    reference: ReferenceSlices,
    *,
    metrics: Sequence[Metric],
    paper_window_pixels: int,
) -> Iterator[dict[str, Any]]:
    """One row per estimate, slice and one of ``metrics`` that the data set has all of.

    ``estimates`` maps "single" and "mean_of_K" to restored images (slice, y, x), in the units and order
    of ``reference``. Raises InputError naming the slice when it cannot be scored.
    """
    for estimate, restored in estimates.items():
        for index, key in enumerate(reference.key):
            images = slice_images(restored, reference, index)
            place = {
                "estimate": estimate,
                "subject": reference.subject[index],
                "key": key,
                "slice_mm": float(reference.slice_mm[index]),
                "angle_deg": float(reference.angle_deg[index]),
                "has_t1": bool(reference.has_t1[index]),
            }
            found = measured(images, metrics=metrics, paper_window_pixels=paper_window_pixels)
            for row in _rows_of(found, key=key):
                yield {**place, **row}


def estimates_of(restored: RestoredSlices, reference: ReferenceSlices) -> dict[str, np.ndarray]:
    """What is scored of a file: the first sample, and the mean of all where there are several.

    Raises:
        InputError: other slices than those of ``reference``, or values that are not finite.
    """
    _require_same_keys(restored, reference)
    estimates = {"single": restored.single}
    if restored.mean is not None:
        estimates[f"mean_of_{restored.samples}"] = restored.mean
    for name, images in (("single", restored.single), ("mean", restored.mean)):
        if images is not None:
            require_images(images, restored.key, what=f"{restored.origin}:{name}")
            if images.shape != reference.standard.shape:
                raise InputError(
                    f"{restored.origin}: {name} has the shape {images.shape}, "
                    f"the test set {reference.standard.shape}."
                )
    return estimates


def spread_of(restored: RestoredSlices, reference: ReferenceSlices) -> float | None:
    """Spread of the samples over their error, in the heads of all slices; None of a single sample."""
    mean, deviation = restored.mean, restored.standard_deviation
    if mean is None or deviation is None:
        return None
    require_images(deviation, restored.key, what=f"{restored.origin}:standard_deviation")
    heads = reference.head > 0
    return spread_to_error(
        mean[heads], deviation[heads], reference.standard[heads], samples=restored.samples
    )


def require_reference(reference: ReferenceSlices) -> None:
    """Refuse a test set that holds NaN or infinity, naming the first bad slice."""
    named = {"standard": reference.standard, "truth": reference.truth}
    for name, images in named.items():
        if images is not None:
            require_images(images, reference.key, what=f"{reference.origin}:{name}")
    with_t1 = np.flatnonzero(reference.has_t1)
    keys = [reference.key[row] for row in with_t1]
    require_images(reference.t1[with_t1], keys, what=f"{reference.origin}:t1")


def require_images(images: np.ndarray, keys: Sequence[str], *, what: str) -> None:
    """Refuse ``images`` (slice, y, x) of another number, and NaN and infinity, naming the slice."""
    if len(images) != len(keys):
        raise InputError(f"{what} holds {len(images)} slices for {len(keys)} keys.")
    bad = np.flatnonzero(~np.isfinite(images).all(axis=(1, 2)))
    if bad.size:
        raise InputError(
            f"{what}: {bad.size} of {len(keys)} slices hold values that are not finite, "
            f"the first is {keys[bad[0]]!r}. Run the step that makes them again."
        )


def _require_same_keys(restored: RestoredSlices, reference: ReferenceSlices) -> None:
    found, expected = restored.key, reference.key
    if found == expected:
        return
    differing = [
        index for index, pair in enumerate(zip(found, expected, strict=False)) if len({*pair}) > 1
    ]
    place = f"first at row {differing[0]}" if differing else f"{len(found)} rows, not {len(expected)}"
    raise InputError(
        f"{restored.origin}: its slices are not those of the test set, in its order ({place}). "
        f"{replacing(restored.origin)}"
    )


def slice_images(restored: np.ndarray, reference: ReferenceSlices, index: int) -> SliceImages:
    """Row ``index`` of ``restored`` (slice, y, x) beside its reference."""
    return SliceImages(
        restored=restored[index],
        standard=reference.standard[index],
        t1=reference.t1[index] if reference.has_t1[index] else None,
        head=reference.head[index] > 0,
        pet_lesions=reference.pet_lesions[index],
        t1_lesions=reference.t1_lesions[index],
        truth=None if reference.truth is None else reference.truth[index],
        labels=None if reference.labels is None else reference.labels[index],
    )


def _rows_of(found: Iterator[tuple[Metric, float]], *, key: str) -> Iterator[dict[str, Any]]:
    try:
        for metric, value in found:
            yield {
                "metric": metric.name,
                "variant": metric.variant.name,
                "value": "" if math.isnan(value) else value,
            }
    except InputError as error:
        raise InputError(f"slice {key!r}, {error}") from None
