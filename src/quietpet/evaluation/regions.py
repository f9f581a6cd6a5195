"""Mean activity of brain regions in the test slices of each subject, as long rows."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from quietpet.config.comparison import HEAD
from quietpet.errors import InputError
from quietpet.evaluation.scoring import LINEAGE, require_images
from quietpet.files.packed import LowSlices, ReferenceSlices

REGION_COLUMNS = (
    "dataset", "setting", "method", "learning", "replicate", "estimate", "subject", "label", "region",
    "pixels", "restored", "low", "standard", "truth", *LINEAGE,
)  # fmt: skip
"""Columns of a file of regional activity; ``truth`` is empty of scans, the label of the head 0."""


def regional_activity(
    estimates: Mapping[str, np.ndarray], reference: ReferenceSlices, low: LowSlices
) -> Iterator[dict[str, Any]]:
    """One row per estimate, subject and region: means over the region's pixels in all of its slices.

    ``estimates`` as in :func:`quietpet.evaluation.scoring.score_slices`; all images in one unit. A
    region that no slice of a subject crosses has no row. Raises InputError for a data set without
    regions, and for regions without a name or with one that is taken.
    """
    regions = _regions(reference)
    require_images(low.low, reference.key, what=f"{low.origin}:low")
    images = {"low": low.low, "standard": reference.standard}
    if reference.truth is not None:
        images["truth"] = reference.truth
    named = dict(enumerate(reference.region_names, start=1))
    masks = {(label, name): regions == label for label, name in named.items()}
    masks[0, HEAD] = reference.head > 0
    subjects = np.array(reference.subject)
    for estimate, restored in estimates.items():
        for subject in dict.fromkeys(reference.subject):
            of_subject = subjects == subject
            for (label, name), mask in masks.items():
                inside = mask[of_subject]
                if pixels := int(np.count_nonzero(inside)):
                    means = {
                        what: float(image[of_subject][inside].mean(dtype=np.float64))
                        for what, image in {"restored": restored, **images}.items()
                    }
                    place = {"estimate": estimate, "subject": subject, "label": label, "region": name}
                    yield {**place, "pixels": pixels, "truth": "", **means}


def _regions(reference: ReferenceSlices) -> np.ndarray:
    regions, names = reference.regions, list(reference.region_names)
    if regions is None or not names:
        raise InputError(
            f"{reference.origin}: numbers no regions; leave its data set out of `cohorts`, or give it "
            "regions and run the steps before again."
        )
    if len({HEAD, *names}) <= len(names):
        raise InputError(
            f"{reference.origin}: its regions {names} must differ from each other and from {HEAD!r}."
        )
    shape, highest = reference.standard.shape, int(regions.max(initial=0))
    if regions.shape != shape or highest > len(names):
        raise InputError(
            f"{reference.origin}: its regions {regions.shape} go up to number {highest}, its images are "
            f"{shape} and its names {names}. Make the data set again."
        )
    return regions
