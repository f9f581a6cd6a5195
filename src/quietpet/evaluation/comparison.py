"""One restored slice beside its reference, and the conventions in which metrics look at both.

A convention is made of rules, each of which has an id: what a metric measures is said in one line, and
that line is made of what is done.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields, replace
from typing import Any, Generic, Literal, ParamSpec, TypeVar

import numpy as np

from quietpet.errors import InputError
from quietpet.phantom.tissues import Tissue

Window = tuple[slice, slice]
Known = Literal["truth", "labels"]
"""What is known of phantoms alone, by its field of :class:`SliceImages`."""

_Given = ParamSpec("_Given")
_Found = TypeVar("_Found")


@dataclass(frozen=True, kw_only=True)
class SliceImages:
    """Images and regions of one slice, each of shape (y, x).

    ``restored``, ``standard`` and ``truth``, the true activity, share one unit; ``head`` is boolean; the
    lesion arrays hold lesion numbers (0: none), ``labels`` numbers of tissues. Scans have neither truth
    nor labels (None), and not all have a T1. ``inside``, boolean, is where a metric looks; None:
    everywhere.
    """

    restored: np.ndarray
    standard: np.ndarray
    t1: np.ndarray | None
    head: np.ndarray
    pet_lesions: np.ndarray
    t1_lesions: np.ndarray
    truth: np.ndarray | None = None
    labels: np.ndarray | None = None
    inside: np.ndarray | None = None

    def cropped(self, window: Window) -> SliceImages:
        """Every image and region inside ``window``."""
        images: dict[str, Any] = {field.name: getattr(self, field.name) for field in fields(self)}
        for name, image in images.items():
            images[name] = None if image is None else image[window]
        return SliceImages(**images)


@dataclass(frozen=True)
class Rule(Generic[_Given, _Found]):
    """A function with the id by which a metric's id names it; ``{}`` in it is the window's side."""

    id: str
    function: Callable[_Given, _Found]

    def __call__(self, *args: _Given.args, **kwargs: _Given.kwargs) -> _Found:
        """What the function finds."""
        return self.function(*args, **kwargs)


@dataclass(frozen=True, kw_only=True)
class Variant:
    """A convention of reference, scaling, window and data range.

    ``reference`` puts what images are compared with in the place of ``standard``. ``window`` takes the
    images and the side [pixels] of the published window; ``data_range`` is that of the scaled images, in
    their units. ``needs`` is what not all data have, and without which nothing is measured.
    """

    name: str
    description: str
    reference: Rule[[SliceImages], SliceImages]
    scale: Rule[[SliceImages], SliceImages]
    window: Rule[[SliceImages, int], Window]
    data_range: Rule[[SliceImages], float]
    needs: tuple[Known, ...] = ()

    def id(self, *, paper_window_pixels: int) -> str:
        """The ids of its rules."""
        return (
            f"ref={self.reference.id},scale={self.scale.id},"
            f"window={self.window.id.format(paper_window_pixels)},range={self.data_range.id}"
        )

    def view(self, images: SliceImages, *, paper_window_pixels: int) -> View:
        """The images as a metric of this variant sees them."""
        scaled = self.scale(self.reference(images))
        data_range = self.data_range(scaled)
        return View(scaled.cropped(self.window(scaled, paper_window_pixels)), data_range)


@dataclass(frozen=True)
class View:
    """Scaled images inside a window, and their data range."""

    images: SliceImages
    data_range: float


def against_standard(images: SliceImages) -> SliceImages:
    """The images as they are."""
    return images


def against_truth(images: SliceImages) -> SliceImages:
    """The truth in the place of the standard dose; InputError without any."""
    if images.truth is None:
        raise InputError("there is no truth to compare with.")
    return replace(images, standard=images.truth)


def divide_by_own_maxima(images: SliceImages) -> SliceImages:
    """Each PET image divided by its own maximum; one without a positive pixel stays as it is."""
    return replace(
        images,
        restored=_by_maximum(images.restored),
        standard=_by_maximum(images.standard),
        truth=None if images.truth is None else _by_maximum(images.truth),
    )


def divide_by_standard_maximum(images: SliceImages) -> SliceImages:
    """All PET images divided by the maximum of the standard dose."""
    peak = standard_peak(images)
    return replace(
        images,
        restored=images.restored / peak,
        standard=images.standard / peak,
        truth=None if images.truth is None else images.truth / peak,
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
    """Maximum of the slice that is compared with, in its units."""
    peak = float(images.standard.max())
    if peak <= 0:
        raise InputError(f"the slice that is compared with has no positive pixel (maximum {peak:g}).")
    return peak


def everywhere(_images: SliceImages) -> None:
    """No mask: the whole window, or what the metric looks for itself."""


def head_of(images: SliceImages) -> np.ndarray:
    """The head, skin and skull with it; InputError where the window holds nothing of it."""
    if not images.head.any():
        raise InputError("the head mask is empty.")
    return images.head


def grey_matter(images: SliceImages) -> np.ndarray:
    """Grey matter without PET lesions; InputError without labels."""
    return _tissue(images, Tissue.GREY_MATTER)


def white_matter(images: SliceImages) -> np.ndarray:
    """White matter without PET lesions; InputError without labels."""
    return _tissue(images, Tissue.WHITE_MATTER)


Mask = Rule[[SliceImages], np.ndarray | None]

NO_MASK: Mask = Rule("none", everywhere)
HEAD: Mask = Rule("head", head_of)
GREY_MATTER: Mask = Rule("grey_matter", grey_matter)
WHITE_MATTER: Mask = Rule("white_matter", white_matter)

_STANDARD = Rule("standard", against_standard)
_CENTRAL_WINDOW = Rule("central{}", central_window)
_HEAD_BOX = Rule("head_box", head_box)
_UNIT_RANGE = Rule("1", unit_range)

PAPER = Variant(
    name="paper",
    description="each image divided by its own maximum, central square window, data range 1",
    reference=_STANDARD,
    scale=Rule("own_max", divide_by_own_maxima),
    window=_CENTRAL_WINDOW,
    data_range=_UNIT_RANGE,
)
JOINTLY_SCALED = Variant(
    name="jointly_scaled",
    description="both images divided by the maximum of the standard-dose slice, central square window, "
    "data range 1",
    reference=_STANDARD,
    scale=Rule("standard_max", divide_by_standard_maximum),
    window=_CENTRAL_WINDOW,
    data_range=_UNIT_RANGE,
)
QUANTITATIVE = Variant(
    name="quantitative",
    description="both images in their common units, bounding box of the head, "
    "data range = maximum of the standard-dose slice",
    reference=_STANDARD,
    scale=Rule("units", keep_units),
    window=_HEAD_BOX,
    data_range=Rule("standard_max", standard_peak),
)
TRUTH = Variant(
    name="truth",
    description="against the true activity, in their common units, bounding box of the head, "
    "data range = maximum of the true slice",
    reference=Rule("truth", against_truth),
    scale=Rule("units", keep_units),
    window=_HEAD_BOX,
    data_range=Rule("truth_max", standard_peak),
    needs=("truth",),
)
VARIANTS = (PAPER, JOINTLY_SCALED, QUANTITATIVE)
"""Those of the tables, in which images are compared with the standard dose."""


def _tissue(images: SliceImages, tissue: Tissue) -> np.ndarray:
    if images.labels is None:
        raise InputError(f"there are no labels that say where {tissue.name.lower()} is.")
    return (images.labels == tissue) & (images.pet_lesions == 0)


def _by_maximum(image: np.ndarray) -> np.ndarray:
    peak = image.max()
    return image / peak if peak > 0 else image
