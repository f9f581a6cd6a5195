"""Lesions seen by one modality alone: does a restorer keep the PET's, and does it invent the T1's?

The contrast of a lesion is the mean inside it minus the mean of the ring around it. Lesions that touch
one of the other modality are left out, so each number answers one question.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

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
    return _kept_percent(_pet_only(images))


def pet_only_hot_percent(images: SliceImages, _data_range: float) -> float:
    """Contrast of PET-only lesions that are brighter than their ring in the standard dose [%]."""
    return _kept_percent(lesion for lesion in _pet_only(images) if lesion.standard > 0)


def pet_only_cold_percent(images: SliceImages, _data_range: float) -> float:
    """Contrast of PET-only lesions that are darker than their ring in the standard dose [%]."""
    return _kept_percent(lesion for lesion in _pet_only(images) if lesion.standard < 0)


def t1_only_hot_percent(images: SliceImages, _data_range: float) -> float:
    """PET contrast gained where only T1 has a bright lesion [% of the standard dose around it].

    Positive: PET rose inside the lesion; negative: it fell; NaN without such lesions. Mean over the
    lesions of the slice, in which noise cancels.
    """
    return _mean(lesion.gained_percent for lesion in _t1_only(images) if lesion.t1 > 0)


def t1_only_cold_percent(images: SliceImages, _data_range: float) -> float:
    """PET contrast gained where only T1 has a dark lesion [% of the standard dose around it].

    A PET that follows T1 rises in bright lesions and falls in dark ones, one that inverts it does the
    reverse: a mean over both kinds would hide that.
    """
    return _mean(lesion.gained_percent for lesion in _t1_only(images) if lesion.t1 < 0)


def t1_only_rms_percent(images: SliceImages, _data_range: float) -> float:
    """Root mean square of the contrast gained in T1-only lesions [%], bright or dark; NaN without any.

    Of this slice: its mean over slices is not the root mean square over all lesions. Nothing cancels,
    noise neither: a method that never saw T1 shows how much of it is noise.
    """
    return math.sqrt(_mean(lesion.gained_percent**2 for lesion in _t1_only(images)))


@dataclass(frozen=True, kw_only=True)
class _LoneLesion:
    """Contrasts of one lesion that only one modality has; ``uptake`` is the standard dose around it.

    A T1 that is missing has none: 0.
    """

    restored: float
    standard: float
    t1: float
    uptake: float

    @property
    def gained_percent(self) -> float:
        return 100.0 * (self.restored - self.standard) / self.uptake


def _pet_only(images: SliceImages) -> Iterator[_LoneLesion]:
    return _measured(images, images.pet_lesions, images.t1_lesions)


def _t1_only(images: SliceImages) -> Iterator[_LoneLesion]:
    lesions = _measured(images, images.t1_lesions, images.pet_lesions)
    return (lesion for lesion in lesions if lesion.uptake > 0)


def _measured(images: SliceImages, lesions: np.ndarray, others: np.ndarray) -> Iterator[_LoneLesion]:
    for lesion, ring in _lone_lesions(lesions, others, images.head):
        yield _LoneLesion(
            restored=_contrast(images.restored, lesion, ring),
            standard=_contrast(images.standard, lesion, ring),
            t1=0.0 if images.t1 is None else _contrast(images.t1, lesion, ring),
            uptake=float(images.standard[ring].mean(dtype=np.float64)),
        )


def _kept_percent(lesions: Iterable[_LoneLesion]) -> float:
    kept = total = 0.0
    for lesion in lesions:
        kept += np.sign(lesion.standard) * lesion.restored
        total += abs(lesion.standard)
    return 100.0 * kept / total if total > 0 else np.nan


def _mean(values: Iterable[float]) -> float:
    found = [*values]
    return float(np.mean(found)) if found else np.nan


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
