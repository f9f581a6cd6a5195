"""What is measured over all slices of a subject at once, as long rows."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from quietpet.evaluation.challenge import brain_outliers, region_bias
from quietpet.evaluation.leakage import Measure, leakage, pet_only_loss
from quietpet.evaluation.lesions import (
    LoneLesion,
    Regions,
    pet_only,
    pet_only_places,
    t1_only,
    t1_only_places,
)
from quietpet.evaluation.scoring import LINEAGE, REFERENCE, STANDARD, require_images, slice_images
from quietpet.files.packed import LowSlices, ReferenceSlices
from quietpet.phantom.tissues import Tissue

SUBJECT_COLUMNS = (
    "dataset", "setting", "method", "learning", "replicate", "estimate", "subject", "against", "measure",
    "value", "count", *LINEAGE,
)  # fmt: skip
"""Columns of a file of whole subjects; ``value`` is empty where there is nothing to measure, ``count``
the number of lesions, pixels or regions that it is of. ``against``: what images are compared with."""

AGAINST_STANDARD, AGAINST_TRUTH = "standard", "truth"

BRAIN = (Tissue.GREY_MATTER, Tissue.WHITE_MATTER, Tissue.CSF)
"""Tissues of the brain, and the regions whose bias is measured where a data set numbers no others."""


def subject_rows(
    estimates: Mapping[str, np.ndarray], reference: ReferenceSlices, low: LowSlices
) -> Iterator[dict[str, Any]]:
    """One row per estimate, subject, reference and measure.

    The reference is the standard dose and, where it is known, the truth. Against the truth there are
    rows of the standard dose itself, too: their ``method`` to ``estimate`` name it. They are the same
    beside every method.

    ``estimates`` as in :func:`quietpet.evaluation.scoring.score_slices`. Without labels nothing is known
    of the brain, and its measures have no rows.
    """
    require_images(low.low, reference.key, what=f"{low.origin}:low")
    subjects = np.array(reference.subject)
    for subject in dict.fromkeys(reference.subject):
        rows = np.flatnonzero(subjects == subject)
        places = _places(reference, rows)
        for against, compared in _references(reference).items():
            images = [({"estimate": estimate}, restored) for estimate, restored in estimates.items()]
            if against == AGAINST_TRUTH:
                images.append((_OF_STANDARD, reference.standard))
            measured = _measurer(compared, low.low, places)
            for names, measure in ((names, each) for names, image in images for each in measured(image)):
                yield {
                    **names,
                    "subject": subject,
                    "against": against,
                    "measure": measure.name,
                    "value": "" if math.isnan(measure.value) else measure.value,
                    "count": measure.count,
                }


_OF_STANDARD = {"method": STANDARD, "learning": "-", "replicate": "-", "estimate": REFERENCE}


def _references(reference: ReferenceSlices) -> dict[str, ReferenceSlices]:
    """The slices, with what images are compared with in the place of the standard dose."""
    found = {AGAINST_STANDARD: reference}
    if reference.truth is not None:
        found[AGAINST_TRUTH] = replace(reference, standard=reference.truth)
    return found


@dataclass(frozen=True, kw_only=True, eq=False)
class _Places:
    """Where a row of the data set has lesions of T1 alone and of PET alone."""

    row: int
    t1_only: list[Regions]
    pet_only: list[Regions]


def _places(reference: ReferenceSlices, rows: np.ndarray) -> list[_Places]:
    slices = {int(row): slice_images(reference.standard, reference, row) for row in rows}
    return [
        _Places(row=row, t1_only=[*t1_only_places(each)], pet_only=[*pet_only_places(each)])
        for row, each in slices.items()
    ]


def _measurer(
    reference: ReferenceSlices, low: np.ndarray, places: list[_Places]
) -> Callable[[np.ndarray], Iterator[Measure]]:
    """What measures restored images in the rows of a subject; what all need is found once."""
    rows = np.array([place.row for place in places])
    of_input = _lesions(low, reference, places)
    pixels = _Pixels.of(reference, rows)

    def measured(restored: np.ndarray) -> Iterator[Measure]:
        of_method = _lesions(restored, reference, places)
        yield from leakage(of_method.t1_only, of_input.t1_only)
        yield from pet_only_loss(of_method.pet_only, of_input.pet_only)
        if pixels is not None:
            values = restored[rows][pixels.chosen]
            yield from brain_outliers(values, pixels.expected, pixels.brain)
            yield region_bias(values, pixels.expected, pixels.regions)

    return measured


@dataclass(frozen=True, kw_only=True)
class _Lesions:
    t1_only: list[LoneLesion]
    pet_only: list[LoneLesion]


def _lesions(images: np.ndarray, reference: ReferenceSlices, places: list[_Places]) -> _Lesions:
    slices = [(slice_images(images, reference, place.row), place) for place in places]
    return _Lesions(
        t1_only=[lesion for each, place in slices for lesion in t1_only(each, place.t1_only)],
        pet_only=[lesion for each, place in slices for lesion in pet_only(each, place.pet_only)],
    )


@dataclass(frozen=True, kw_only=True, eq=False)
class _Pixels:
    """The pixels of a subject in the brain or a region: ``chosen`` (slice, y, x), all else (pixel,)."""

    chosen: np.ndarray
    expected: np.ndarray
    brain: np.ndarray
    regions: dict[str, np.ndarray]

    @classmethod
    def of(cls, reference: ReferenceSlices, rows: np.ndarray) -> _Pixels | None:
        """None without labels."""
        if reference.labels is None:
            return None
        brain = np.isin(reference.labels[rows], BRAIN)
        regions = _regions(reference, rows)
        chosen = np.logical_or.reduce([brain, *regions.values()])
        return cls(
            chosen=chosen,
            expected=reference.standard[rows][chosen],
            brain=brain[chosen],
            regions={name: inside[chosen] for name, inside in regions.items()},
        )


def _regions(reference: ReferenceSlices, rows: np.ndarray) -> dict[str, np.ndarray]:
    """Masks of the regions that the data set numbers, else of the tissues of the brain."""
    if reference.regions is not None and reference.region_names:
        numbers = reference.regions[rows]
        return {name: numbers == n for n, name in enumerate(reference.region_names, start=1)}
    assert reference.labels is not None
    labels = reference.labels[rows]
    return {tissue.name.lower(): labels == tissue for tissue in BRAIN}
