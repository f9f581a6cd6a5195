"""Score restored slices against the standard dose."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from quietpet.api.arrays import image_stack, region_numbers, slice_names
from quietpet.errors import InputError
from quietpet.evaluation.metrics import METRICS, metric_of
from quietpet.evaluation.scoring import score_slices
from quietpet.files.packed import ReferenceSlices
from quietpet.study.root import Study

_NUMBERED = ("head", "pet_lesions", "t1_lesions", "labels")


@dataclass(frozen=True, kw_only=True)
class Score:
    """One metric of one slice, in the unit that ends its name.

    ``variant`` "paper" divides images by their own maxima, "jointly_scaled" both by that of the standard
    dose, "quantitative" keeps their units; "truth" compares with the true activity. ``metric_id`` fixes
    all of that, and window, mask and data range. ``value`` is NaN where the metric is undefined: that of
    lesions where there are none, for one.
    """

    key: str
    metric: str
    variant: str
    metric_id: str
    value: float


def score(
    study: Study,
    restored: ArrayLike,
    standard: ArrayLike,
    head: ArrayLike,
    *,
    t1: ArrayLike | None = None,
    pet_lesions: ArrayLike | None = None,
    t1_lesions: ArrayLike | None = None,
    truth: ArrayLike | None = None,
    labels: ArrayLike | None = None,
    keys: Sequence[str] | None = None,
) -> tuple[Score, ...]:
    """All metrics of restored slices (slice, y, x) against the standard dose, in their common unit.

    ``head`` is a mask; lesions are numbered from 1, 0 being none; ``truth`` is the true activity and
    ``labels`` the tissues, of phantoms. All are of one shape.

    Raises InputError for arrays that do not fit, and for a slice that cannot be scored.
    """
    images = image_stack("restored", restored)
    names = slice_names(keys, len(images), subject="object")
    if t1_lesions is not None and t1 is None:
        raise InputError("t1_lesions: their contrast is that of t1; give t1, too.")
    none = np.zeros_like(images)
    slices = _reference_slices(
        names,
        images.shape,
        {
            "standard": standard,
            "head": head,
            "pet_lesions": none if pet_lesions is None else pet_lesions,
            "t1_lesions": none if t1_lesions is None else t1_lesions,
            "truth": truth,
            "labels": labels,
        },
        t1=t1,
    )
    pixels = study.evaluation.paper_window_pixels
    rows = score_slices({"single": images}, slices, metrics=METRICS, paper_window_pixels=pixels)
    return tuple(_score(row, paper_window_pixels=pixels) for row in rows)


def _reference_slices(
    names: list[str],
    shape: tuple[int, ...],
    given: Mapping[str, ArrayLike | None],
    *,
    t1: ArrayLike | None,
) -> ReferenceSlices:
    """The slices called ``names`` as files of packed slices hold them, of the arrays that are given."""
    arrays: dict[str, Any] = {
        name: region_numbers(name, each, shape) if name in _NUMBERED else image_stack(name, each, shape)
        for name, each in given.items()
        if each is not None
    }
    return ReferenceSlices(
        key=names,
        subject=["object"] * len(names),
        slice_mm=np.zeros(len(names)),
        angle_deg=np.zeros(len(names)),
        t1=np.full(shape, np.nan, np.float32) if t1 is None else image_stack("t1", t1, shape),
        has_t1=np.full(len(names), t1 is not None),
        **arrays,
    )


def _score(row: Mapping[str, Any], *, paper_window_pixels: int) -> Score:
    metric = metric_of(row["metric"], row["variant"])
    return Score(
        key=row["key"],
        metric=row["metric"],
        variant=row["variant"],
        metric_id=metric.id(paper_window_pixels=paper_window_pixels),
        value=math.nan if row["value"] == "" else float(row["value"]),
    )
