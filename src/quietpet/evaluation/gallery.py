"""Which test slice a figure of images shows, where it looks closer, and what it says of the slice."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from scipy import ndimage

from quietpet.data_source import is_standin
from quietpet.files.sections import Column, Section, ShownFigure, Table, anchor, cell, counted

MOST_LESION = "the test slice with most lesion area"
MEDIAN_ERROR = "the test slice whose NMSE, the median of all methods, is the median of all slices"

PROFILED_METHODS = 4
"""Methods of least NMSE in the shown slice, whose profiles are drawn."""


@dataclass(frozen=True, kw_only=True, eq=False)
class GallerySlice:
    """One slice before and after restoration: images (y, x) in the unit of the data.

    ``t1`` is None where the slice has none; ``restored`` are by method, in the order of the tables.
    ``centre`` (y, x) is the pixel that is looked at closer, ``rule`` says why this slice.
    """

    dataset: str
    setting: str
    data_source: str
    key: str
    subject: str
    rule: str
    pixel_mm: float
    unit: str
    low: np.ndarray
    standard: np.ndarray
    t1: np.ndarray | None
    head: np.ndarray
    pet_lesions: np.ndarray
    t1_lesions: np.ndarray
    restored: Mapping[str, np.ndarray]
    centre: tuple[int, int] = field(init=False)
    nmse: Mapping[str, float] = field(init=False)

    def __post_init__(self) -> None:
        """Find where to look, and how far each method is from the standard dose in the head."""
        object.__setattr__(self, "centre", centre_of(self.pet_lesions, self.head))
        box = head_box(self.head)
        images = {name: image[box] for name, image in self.restored.items()}
        errors = {name: nmse(image, self.standard[box]) for name, image in images.items()}
        object.__setattr__(self, "nmse", errors)

    @property
    def lesion_cm2(self) -> float:
        """Area of the lesions in PET."""
        return float((self.pet_lesions > 0).sum()) * (self.pixel_mm / 10) ** 2

    @property
    def has_t1(self) -> bool:
        """Whether a T1 is shown."""
        return self.t1 is not None

    @property
    def has_pet_lesion(self) -> bool:
        """Whether a lesion in PET is outlined."""
        return bool((self.pet_lesions > 0).any())

    @property
    def t1_only(self) -> np.ndarray:
        """Pixels of lesions in T1 that are none in PET (y, x)."""
        return (self.t1_lesions > 0) & (self.pet_lesions == 0)

    @property
    def has_t1_only_lesion(self) -> bool:
        """Whether a lesion in T1 alone is outlined."""
        return bool(self.t1_only.any())

    @property
    def profiled(self) -> tuple[str, ...]:
        """Methods of least NMSE in this slice, the best first."""
        return tuple(sorted(self.nmse, key=self._error)[:PROFILED_METHODS])

    def _error(self, method: str) -> tuple[bool, float]:
        """What methods are ordered by: NMSE, those without a finite one last."""
        value = self.nmse[method]
        return (False, value) if math.isfinite(value) else (True, 0.0)


def most_lesion(pet_lesions: np.ndarray) -> int | None:
    """The slice of (slice, y, x) with most lesion pixels, the first of equals; None without lesions."""
    pixels = (pet_lesions > 0).sum(axis=(1, 2))
    return int(pixels.argmax()) if pixels.any() else None


def median_error(errors: Mapping[str, Sequence[float]]) -> int:
    """The slice in the middle, when slices are ordered by the median of all methods.

    ``errors`` has a value for each slice, by method. Of two in the middle it is the one of less error.
    """
    of_slices = np.median(np.array([*errors.values()], dtype=np.float64), axis=0)
    return int(np.argsort(of_slices, kind="stable")[(len(of_slices) - 1) // 2])


def nmse(image: np.ndarray, standard: np.ndarray) -> float:
    """Sum of squared differences over that of the squared standard dose (variant ``quantitative``)."""
    standard = standard.astype(np.float64)
    return float(np.square(image - standard).sum() / np.square(standard).sum())


def head_box(head: np.ndarray) -> tuple[slice, slice]:
    """Bounding box of the head (y, x)."""
    (box,) = ndimage.find_objects((head > 0).astype(np.int8))
    return box


def centre_of(pet_lesions: np.ndarray, head: np.ndarray) -> tuple[int, int]:
    """Pixel (y, x) in the middle of the largest lesion; of the head where there is none."""
    labels, count = ndimage.label(pet_lesions > 0)
    if count:
        largest = 1 + int(np.bincount(labels.ravel())[1:].argmax())
        inside = labels == largest
    else:
        inside = head > 0
    y, x = ndimage.center_of_mass(inside)
    return round(y), round(x)


def gallery_section(shown: GallerySlice, *, figure: str) -> Section:
    """The slice in sentences, its errors as a table, and the ``figure`` (name of its file)."""
    simulated = " (simulated scans)" if is_standin(shown.data_source) else ""
    lesions = f", {shown.lesion_cm2:.1f} cm² of it lesion" if shown.lesion_cm2 else ""
    return Section(
        id=f"gallery-{anchor(shown.dataset)}_{anchor(shown.setting)}",
        title=f"Images: {shown.dataset}, {shown.setting}{simulated}",
        part="Images",
        summary=f"Slice `{shown.key}` of test subject {shown.subject}, {shown.rule}{lesions}. "
        f"{_nearest_and_farthest(shown)}",
        figures=(
            _shown_figure(shown, figure, f"{shown.dataset}, setting `{shown.setting}`{simulated}"),
        ),
        tables=(
            Table(
                caption=f"NMSE in slice {shown.key}, in the bounding box of the head",
                columns=(
                    Column(key="method", label="Method"),
                    Column(key="nmse", label="NMSE", digits=4),
                ),
                rows=tuple({"method": name, "nmse": cell(value)} for name, value in shown.nmse.items()),
            ),
        ),
    )


def _nearest_and_farthest(shown: GallerySlice) -> str:
    """Of one method how near it is, of several who is nearest and who farthest."""
    finite = {name: value for name, value in shown.nmse.items() if math.isfinite(value)}
    if not finite:
        return "The NMSE of no method is finite in it."
    best, worst = (choose(finite, key=finite.__getitem__) for choose in (min, max))
    if len(finite) == 1:
        return f"In it `{best}` has an NMSE of {finite[best]:.4f} to the standard dose."
    return (
        f"In it `{best}` is nearest to the standard dose (NMSE {finite[best]:.4f}), `{worst}` farthest "
        f"({finite[worst]:.4f}); one slice does not rank methods, the tables do."
    )


def _shown_figure(shown: GallerySlice, file: str, place: str) -> ShownFigure:
    """What the figure shows of this slice: nothing of a T1 or of lesions where there are none."""
    restored = counted(len(shown.restored), "restored image")
    closest = (
        "the restored image"
        if len(shown.restored) == 1
        else f"the {len(shown.profiled)} methods of least NMSE in this slice"
    )
    return ShownFigure(
        file=file,
        alt=f"{place}, slice {shown.key}: {'T1, ' if shown.has_t1 else ''}low dose, {restored} and the "
        "standard dose, below each its difference to the standard dose, and profiles through the middle "
        f"of {'a lesion' if shown.has_pet_lesion else 'the head'}.",
        caption=f"{'T1, low' if shown.has_t1 else 'Low'} dose (LPET), {restored} and standard dose "
        f"(SPET) of {place}; below each the difference to the standard dose. One scale of activity and "
        "one of differences hold for all; values beyond its ends, which are pointed, have the colour of "
        f"the end. {_outlines(shown)}The corner shows the framed square larger. At the bottom: activity "
        f"along the dotted line in SPET, of the low and standard dose and of {closest}.",
    )


def _outlines(shown: GallerySlice) -> str:
    both: tuple[str, ...] = ("Lesions in PET are outlined whole",) if shown.has_pet_lesion else ()
    both += ("those in T1 alone dashed" if both else "Lesions in T1 alone are outlined dashed",) * (
        shown.has_t1_only_lesion
    )
    return f"{', '.join(both)}. " if both else ""
