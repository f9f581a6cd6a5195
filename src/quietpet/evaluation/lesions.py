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

Regions = tuple[tuple[slice, ...], np.ndarray, np.ndarray]


def pet_only_contrast_percent(images: SliceImages, _data_range: float) -> float:
    """Contrast of PET-only lesions, hot and cold, relative to the standard dose [%]; NaN without any.

    100 means the contrast of the standard dose. Pooled over the slice's lesions, sum(s d) / sum(s d0)
    with d, d0 the contrasts in the restored and standard image and s the sign of d0: faint lesions,
    whose own ratio would be unstable, weigh little.
    """
    return kept_percent(pet_only(images))


def pet_only_hot_percent(images: SliceImages, _data_range: float) -> float:
    """Contrast of PET-only lesions that are brighter than their ring in the standard dose [%]."""
    return kept_percent(lesion for lesion in pet_only(images) if lesion.standard > 0)


def pet_only_cold_percent(images: SliceImages, _data_range: float) -> float:
    """Contrast of PET-only lesions that are darker than their ring in the standard dose [%]."""
    return kept_percent(lesion for lesion in pet_only(images) if lesion.standard < 0)


def t1_only_hot_percent(images: SliceImages, _data_range: float) -> float:
    """PET contrast gained where only T1 has a bright lesion [% of the standard dose around it].

    Positive: PET rose inside the lesion; negative: it fell; NaN without such lesions. Mean over the
    lesions of the slice, in which noise cancels.
    """
    return _mean(lesion.gained_percent for lesion in t1_only(images) if lesion.t1 > 0)


def t1_only_cold_percent(images: SliceImages, _data_range: float) -> float:
    """PET contrast gained where only T1 has a dark lesion [% of the standard dose around it].

    A PET that follows T1 rises in bright lesions and falls in dark ones, one that inverts it does the
    reverse: a mean over both kinds would hide that.
    """
    return _mean(lesion.gained_percent for lesion in t1_only(images) if lesion.t1 < 0)


def t1_only_rms_percent(images: SliceImages, _data_range: float) -> float:
    """Root mean square of the contrast gained in T1-only lesions [%], bright or dark; NaN without any.

    Of this slice: its mean over slices is not the root mean square over all lesions. Nothing cancels,
    noise neither: a method that never saw T1 shows how much of it is noise.
    """
    return math.sqrt(_mean(lesion.gained_percent**2 for lesion in t1_only(images)))


@dataclass(frozen=True, kw_only=True)
class LoneLesion:
    """Contrasts of one lesion that only one modality has; ``uptake`` is the standard dose around it.

    A T1 that is missing has none: 0.
    """

    restored: float
    standard: float
    t1: float
    uptake: float

    @property
    def gained_percent(self) -> float:
        """PET contrast that the standard dose has not, relative to the uptake [%]."""
        return 100.0 * (self.restored - self.standard) / self.uptake


def pet_only(images: SliceImages, places: Iterable[Regions] | None = None) -> Iterator[LoneLesion]:
    """The lesions of a slice that only PET has, at their ``places`` if those are known."""
    return _measured(images, pet_only_places(images) if places is None else places)


def t1_only(images: SliceImages, places: Iterable[Regions] | None = None) -> Iterator[LoneLesion]:
    """The lesions of a slice that only T1 has, where there is activity around them; as before."""
    lesions = _measured(images, t1_only_places(images) if places is None else places)
    return (lesion for lesion in lesions if lesion.uptake > 0)


def pet_only_places(images: SliceImages) -> Iterator[Regions]:
    """Where a slice has lesions that only PET has: one (box, lesion, ring) each, masks in the box."""
    return _lone_lesions(images.pet_lesions, images.t1_lesions, images.head)


def t1_only_places(images: SliceImages) -> Iterator[Regions]:
    """Where a slice has lesions that only T1 has."""
    return _lone_lesions(images.t1_lesions, images.pet_lesions, images.head)


def _measured(images: SliceImages, places: Iterable[Regions]) -> Iterator[LoneLesion]:
    for box, lesion, ring in places:
        standard = images.standard[box]
        yield LoneLesion(
            restored=_contrast(images.restored[box], lesion, ring),
            standard=_contrast(standard, lesion, ring),
            t1=0.0 if images.t1 is None else _contrast(images.t1[box], lesion, ring),
            uptake=float(standard[ring].mean(dtype=np.float64)),
        )


def kept_percent(lesions: Iterable[LoneLesion]) -> float:
    """Contrast relative to the standard dose [%], pooled as in :func:`pet_only_contrast_percent`."""
    kept = total = 0.0
    for lesion in lesions:
        kept += np.sign(lesion.standard) * lesion.restored
        total += abs(lesion.standard)
    return 100.0 * kept / total if total > 0 else np.nan


def _mean(values: Iterable[float]) -> float:
    found = [*values]
    return float(np.mean(found)) if found else np.nan


def _lone_lesions(lesions: np.ndarray, others: np.ndarray, head: np.ndarray) -> Iterator[Regions]:
    """The lesions without one of the other modality inside: (box, lesion, ring), masks in the box."""
    any_lesion = (lesions > 0) | (others > 0)
    for number, place in enumerate(ndimage.find_objects(lesions), start=1):
        if place is None:
            continue
        box = tuple(slice(max(0, side.start - RING_PIXELS), side.stop + RING_PIXELS) for side in place)
        lesion = lesions[box] == number
        ring = ndimage.binary_dilation(lesion, iterations=RING_PIXELS) & head[box] & ~any_lesion[box]
        if lesion.sum() >= MIN_PIXELS and ring.any() and not others[box][lesion].any():
            yield box, lesion, ring


def _contrast(image: np.ndarray, lesion: np.ndarray, ring: np.ndarray) -> float:
    return float(image[lesion].mean(dtype=np.float64) - image[ring].mean(dtype=np.float64))
