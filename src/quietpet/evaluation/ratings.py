"""Ratings of noise realisations by model observers that look for lesions they know."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from quietpet.config.observers import LEAST_COUNT, ChannelSettings
from quietpet.config.realisations import ABSENT
from quietpet.errors import InputError
from quietpet.evaluation.observer import (
    Observer,
    Pair,
    channel_basis,
    difference_of_gaussians_channels,
    hotelling,
    laguerre_gauss_channels,
    matched_filter,
    rate_halves,
)
from quietpet.files.realisations import KnownLesion, Realisations, Twin

OBSERVERS: dict[str, Observer] = {"hotelling": hotelling, "matched_filter": matched_filter}
CHANNELS = {
    "laguerre_gauss": laguerre_gauss_channels,
    "difference_of_gaussians": difference_of_gaussians_channels,
}

LESION, NOTHING = "lesion", "nothing"
"""What is looked for: a lesion that half of the images have, or one that none has, as a check."""

LEAST_REALISATIONS = {LESION: LEAST_COUNT, NOTHING: 2 * LEAST_COUNT}
"""Of each lesion set, and without lesions; of nothing, half of the latter stand for those with."""

REACH_WIDTHS = 1.5
"""Radius of the region that an observer looks at, in widths of the first channel."""

PLACE_COLUMNS = ("subject", "slice_index", "lesion_set", "lesion", "radius_mm", "contrast")

RATING_COLUMNS = (
    "dataset", "setting", "image", "method", "learning", "replicate", "estimate", *PLACE_COLUMNS,
    "sought", "observer", "half", "present", "case", "rating",
)  # fmt: skip
"""Columns of a file of ratings. ``half`` is that of the images, rated by the observer that the other one
trained; ``present`` 1 or 0; ``case`` numbers the images of a half and class: one image in all rows."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Place:
    """One lesion of one slice, the rows of images with and without it, and its channels.

    ``basis`` (channel, y, x) fills the ``window`` of an image.
    """

    lesion: KnownLesion
    present: np.ndarray
    absent: np.ndarray
    window: tuple[slice, slice]
    basis: np.ndarray

    def pair(self, images: np.ndarray, sought: str) -> Pair:
        """Channels of ``images`` (row, y, x); of nothing, half of those without stand for those with."""
        present, absent = self.present, self.absent
        if sought == NOTHING:
            middle = len(absent) // 2
            present, absent = absent[:middle], absent[middle : 2 * middle]
        return Pair(present=self._seen(images[present]), absent=self._seen(images[absent]))

    def _seen(self, images: np.ndarray) -> np.ndarray:
        seen = images[:, *self.window].astype(np.float64)
        return np.tensordot(seen, self.basis, axes=((1, 2), (1, 2)))


def places_of(realisations: Realisations, settings: ChannelSettings) -> tuple[Place, ...]:
    """Every known lesion with the images that have it, and those of the same slice without lesions.

    Raises:
        InputError: too few realisations.
    """
    return tuple(_places(realisations, settings))


def _places(realisations: Realisations, settings: ChannelSettings) -> Iterator[Place]:
    twins, lesions = realisations.twins, realisations.known_lesions
    shape = realisations.low.shape[-2:]
    for lesion in lesions:
        present = twins[Twin(lesion.subject, lesion.slice_index, lesion.lesion_set)]
        absent = twins[Twin(lesion.subject, lesion.slice_index, ABSENT)]
        if min(len(present), len(absent)) < LEAST_REALISATIONS[LESION]:
            raise InputError(
                f"{realisations.origin}: {len(present)} realisations with lesions and {len(absent)} "
                f"without are too few to train an observer and test it on others; set "
                f"realisations.count to {LEAST_REALISATIONS[NOTHING]} or more."
            )
        beside = [each for each in lesions if _together(each, lesion)]
        window, distance_mm, inside = _seen_region(
            lesion, beside, pixel_mm=realisations.pixel_mm, shape=shape, settings=settings
        )
        channels = CHANNELS[settings.channels](
            distance_mm, count=settings.count, width_mm=settings.width_mm
        )
        yield Place(
            lesion=lesion,
            present=present,
            absent=absent,
            window=window,
            basis=channel_basis(channels, inside),
        )


def _together(one: KnownLesion, other: KnownLesion) -> bool:
    return one.number != other.number and (one.subject, one.slice_index, one.lesion_set) == (
        other.subject,
        other.slice_index,
        other.lesion_set,
    )


def _seen_region(
    lesion: KnownLesion,
    beside: Sequence[KnownLesion],
    *,
    pixel_mm: float,
    shape: tuple[int, int],
    settings: ChannelSettings,
) -> tuple[tuple[slice, slice], np.ndarray, np.ndarray]:
    """Window of an image around a lesion, distances in it, and the pixels that are looked at.

    Those nearer to the edge of another lesion of the slice are left out: that one is there whenever this
    one is, and would be found in its place.
    """
    reach_mm = REACH_WIDTHS * settings.width_mm
    sides = [
        slice(
            max(0, int(np.floor(centre - reach_mm / pixel_mm))),
            min(size, int(np.ceil(centre + reach_mm / pixel_mm)) + 1),
        )
        for centre, size in zip(lesion.centre_yx, shape, strict=True)
    ]
    window = (sides[0], sides[1])
    distance_mm = _distance_mm(lesion, window, pixel_mm)
    inside = distance_mm <= reach_mm
    for other in beside:
        to_other = _distance_mm(other, window, pixel_mm) - other.radius_mm
        inside &= distance_mm - lesion.radius_mm <= to_other
    return window, distance_mm, inside


def _distance_mm(lesion: KnownLesion, window: tuple[slice, slice], pixel_mm: float) -> np.ndarray:
    y, x = (
        np.arange(side.start, side.stop) - centre
        for side, centre in zip(window, lesion.centre_yx, strict=True)
    )
    return pixel_mm * np.hypot(y[:, None], x[None, :])


def rating_rows(images: Mapping[str, np.ndarray], places: Sequence[Place]) -> Iterator[dict[str, Any]]:
    """One row per estimate, sought thing, observer, place, half, class and case.

    ``images`` maps the name of an estimate to restored images (row, y, x). Nothing is looked for where
    realisations are too few to be halved twice.
    """
    for estimate, restored in images.items():
        for sought, least in LEAST_REALISATIONS.items():
            if min(len(place.absent) for place in places) < least:
                continue
            pairs = [place.pair(restored, sought) for place in places]
            for name, observer in OBSERVERS.items():
                for place, halves in zip(places, rate_halves(pairs, observer), strict=True):
                    where = {column: _of(place.lesion, column) for column in PLACE_COLUMNS}
                    about = {"estimate": estimate, "sought": sought, "observer": name, **where}
                    for half, ratings in enumerate(halves):
                        for present, values in ((1, ratings.present), (0, ratings.absent)):
                            for case, rating in enumerate(values):
                                yield {
                                    **about,
                                    "half": half,
                                    "present": present,
                                    "case": case,
                                    "rating": float(rating),
                                }


def _of(lesion: KnownLesion, column: str) -> Any:
    return getattr(lesion, "number" if column == "lesion" else column)
