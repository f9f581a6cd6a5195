"""What is measured over all slices of a subject at once, as long rows."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import replace
from itertools import product
from typing import Any

import numpy as np

from quietpet.evaluation.challenge import brain_outliers, region_bias
from quietpet.evaluation.leakage import Measure, leakage, pet_only_loss
from quietpet.evaluation.lesions import pet_only, t1_only
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
    for against, compared in _references(reference).items():
        images = [({"estimate": estimate}, restored) for estimate, restored in estimates.items()]
        if against == AGAINST_TRUTH:
            images.append((_OF_STANDARD, reference.standard))
        for (names, restored), subject in product(images, dict.fromkeys(reference.subject)):
            for measure in _measured(restored, compared, low.low, np.flatnonzero(subjects == subject)):
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


def _measured(
    restored: np.ndarray, reference: ReferenceSlices, low: np.ndarray, rows: np.ndarray
) -> Iterator[Measure]:
    of_method, of_input = (
        [slice_images(images, reference, row) for row in rows] for images in (restored, low)
    )
    for measures, lesions_of in ((leakage, t1_only), (pet_only_loss, pet_only)):
        yield from measures(
            *(
                [lesion for each in images for lesion in lesions_of(each)]
                for images in (of_method, of_input)
            )
        )
    if reference.labels is None:
        return
    labels, standard = reference.labels[rows], reference.standard[rows]
    yield from brain_outliers(restored[rows], standard, np.isin(labels, BRAIN))
    yield region_bias(restored[rows], standard, _regions(reference, rows))


def _regions(reference: ReferenceSlices, rows: np.ndarray) -> dict[str, np.ndarray]:
    """Masks of the regions that the data set numbers, else of the tissues of the brain."""
    if reference.regions is not None and reference.region_names:
        numbers = reference.regions[rows]
        return {name: numbers == n for n, name in enumerate(reference.region_names, start=1)}
    assert reference.labels is not None
    labels = reference.labels[rows]
    return {tissue.name.lower(): labels == tissue for tissue in BRAIN}
