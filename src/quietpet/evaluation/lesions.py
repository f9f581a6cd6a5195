"""Lesions seen by one modality alone: does a restorer keep the PET's, and does it invent the T1's?

The contrast of a lesion is the mean inside it minus the mean of the ring around it. Lesions that touch
one of the other modality are left out, so each number answers one question.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from scipy import ndimage

from quietpet.evaluation.comparison import SliceImages

RING_PIXELS = 3
"""Width of the ring around a lesion [pixels]; 6.3 mm on the 2.086-mm grid."""

MIN_PIXELS = 4
"""Smallest cross-section of a lesion that is measured [pixels]."""

Regions = tuple[np.ndarray, np.ndarray]


def pet_only_contrast_percent(images: SliceImages, _data_range: float) -> float:
    """Contrast of PET-only lesions, hot and cold, relative to the standard dose [%]; NaN without any.

    100 means the contrast of the standard dose. Pooled over the slice's lesions, sum(s d) / sum(s d0)
    with d, d0 the contrasts in the restored and standard image and s the sign of d0: faint lesions,
    whose own ratio would be unstable, weigh little.
    """
    kept = total = 0.0
    for lesion, ring in _lone_lesions(images.pet_lesions, images.t1_lesions, images.head):
        expected = _contrast(images.standard, lesion, ring)
        kept += np.sign(expected) * _contrast(images.restored, lesion, ring)
        total += abs(expected)
    return 100.0 * kept / total if total > 0 else np.nan


def t1_only_contrast_percent(images: SliceImages, _data_range: float) -> float:
    """Contrast that T1-only lesions gained [% of the standard dose around them]; NaN without any.

    Positive when the restored PET follows the T1 (brighter where T1 is brighter), negative when it
    inverts it, zero on average when it ignores it: noise cancels in the mean because of the sign.
    """
    gained = uptake = 0.0
    for lesion, ring in _lone_lesions(images.t1_lesions, images.pet_lesions, images.head):
        excess = _contrast(images.restored, lesion, ring) - _contrast(images.standard, lesion, ring)
        gained += np.sign(_contrast(images.t1, lesion, ring)) * excess
        uptake += images.standard[ring].mean(dtype=np.float64)
    return 100.0 * gained / uptake if uptake > 0 else np.nan


def _lone_lesions(lesions: np.ndarray, others: np.ndarray, head: np.ndarray) -> Iterator[Regions]:
    """Masks (lesion, ring) of the lesions without a lesion of the other modality inside."""
    any_lesion = (lesions > 0) | (others > 0)
    for number in np.unique(lesions[lesions > 0]):
        lesion = lesions == number
        ring = ndimage.binary_dilation(lesion, iterations=RING_PIXELS) & head & ~any_lesion
        if lesion.sum() >= MIN_PIXELS and ring.any() and not others[lesion].any():
            yield lesion, ring


def _contrast(image: np.ndarray, lesion: np.ndarray, ring: np.ndarray) -> float:
    return float(image[lesion].mean(dtype=np.float64) - image[ring].mean(dtype=np.float64))
