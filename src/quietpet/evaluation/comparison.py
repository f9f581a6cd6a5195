"""One restored slice beside its standard dose, and the two views in which metrics look at it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np

from quietpet.errors import InputError

Window = tuple[slice, slice]


@dataclass(frozen=True, kw_only=True)
class SliceImages:
    """Images and regions of one slice, each of shape (y, x).

    ``restored``, ``standard`` and ``truth``, the true activity, share one unit; ``head`` is boolean; the
    lesion arrays hold lesion numbers (0: none), ``labels`` numbers of tissues. Scans have neither truth
    nor labels (None), and not all have a T1.
    """

    restored: np.ndarray
    standard: np.ndarray
    t1: np.ndarray | None
    head: np.ndarray
    pet_lesions: np.ndarray
    t1_lesions: np.ndarray
    truth: np.ndarray | None = None
    labels: np.ndarray | None = None

    def cropped(self, window: Window) -> SliceImages:
        """Every image and region inside ``window``."""
        images: dict[str, Any] = {field.name: getattr(self, field.name) for field in fields(self)}
        for name, image in images.items():
            images[name] = None if image is None else image[window]
        return SliceImages(**images)


@dataclass(frozen=True, kw_only=True)
class Variant:
    """A convention of scaling, window and data range.

    ``window`` takes the images and the side [pixels] of the published window; ``data_range`` is that of
    the scaled images, in their units.
    """

    name: str
    description: str
    scale: Callable[[SliceImages], SliceImages]
    window: Callable[[SliceImages, int], Window]
    data_range: Callable[[SliceImages], float]


def divide_by_own_maxima(images: SliceImages) -> SliceImages:
    """Each PET image divided by its own maximum; one without a positive pixel stays as it is."""
    return replace(
        images,
        restored=_by_maximum(images.restored),
        standard=_by_maximum(images.standard),
        truth=None if images.truth is None else _by_maximum(images.truth),
    )


def keep_units(images: SliceImages) -> SliceImages:
    """The images as they are."""
    return images


def central_window(images: SliceImages, side_pixels: int) -> Window:
    """The central square of ``side_pixels``; an odd remainder goes below and to the right."""
    if side_pixels > min(images.standard.shape):
        raise InputError(
            f"evaluation.paper_window_pixels = {side_pixels} is larger than the image "
            f"{images.standard.shape}."
        )
    first_y, first_x = ((pixels - side_pixels) // 2 for pixels in images.standard.shape)
    return np.s_[first_y : first_y + side_pixels, first_x : first_x + side_pixels]


def head_box(images: SliceImages, _side_pixels: int) -> Window:
    """Bounding box of the head."""
    rows, columns = np.nonzero(images.head)
    if rows.size == 0:
        raise InputError("the head mask is empty.")
    return np.s_[rows.min() : rows.max() + 1, columns.min() : columns.max() + 1]


def unit_range(_images: SliceImages) -> float:
    """1: the range of images divided by their maxima."""
    return 1.0


def standard_peak(images: SliceImages) -> float:
    """Maximum of the standard-dose slice, in its units."""
    peak = float(images.standard.max())
    if peak <= 0:
        raise InputError(f"the standard-dose slice has no positive pixel (maximum {peak:g}).")
    return peak


PAPER = Variant(
    name="paper",
    description="each image divided by its own maximum, central square window, data range 1",
    scale=divide_by_own_maxima,
    window=central_window,
    data_range=unit_range,
)
QUANTITATIVE = Variant(
    name="quantitative",
    description="both images in their common units, bounding box of the head, "
    "data range = maximum of the standard-dose slice",
    scale=keep_units,
    window=head_box,
    data_range=standard_peak,
)
VARIANTS = (PAPER, QUANTITATIVE)


def _by_maximum(image: np.ndarray) -> np.ndarray:
    peak = image.max()
    return image / peak if peak > 0 else image
