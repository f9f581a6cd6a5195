"""Standard- and low-dose images, T1 and masks of several phantoms as one packed data set."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np

from quietpet.data.crop import central_crop
from quietpet.data.scaling import activity_weighted_mean
from quietpet.errors import InputError
from quietpet.files.hdf5 import Parts
from quietpet.files.images import ReconstructedSlices
from quietpet.files.lineage import common_lineage
from quietpet.files.packed import Packed, packed_units
from quietpet.files.phantoms import KnownSlices
from quietpet.geometry.grid import ImageGrid


@dataclass(frozen=True, kw_only=True, eq=False)
class SubjectImages:
    """One subject's slices and their images at two doses, in one order."""

    slices: KnownSlices
    standard: ReconstructedSlices
    low: ReconstructedSlices

    @classmethod
    def of(
        cls,
        slices: KnownSlices,
        standard: ReconstructedSlices,
        low: ReconstructedSlices,
        *,
        low_dose: str,
    ) -> Self:
        """Refuse images of other slices or doses."""
        for images, dose in ((standard, "standard"), (low, low_dose)):
            if images.dose != dose:
                raise InputError(
                    f"{images.origin}: holds dose {images.dose!r}, but {dose!r} is packed here."
                )
            if images.key != slices.key:
                raise InputError(
                    f"{images.origin}: its slices differ from those of the phantom; reconstruct it "
                    "again."
                )
        return cls(slices=slices, standard=standard, low=low)

    @property
    def truth(self) -> np.ndarray:
        """The activity (slice, y, x) in the units of the images."""
        return self.slices.activity * np.float32(self.standard.activity_per_phantom_unit)


def packed_subjects(
    subjects: Sequence[SubjectImages], *, grid: ImageGrid, dataset: str, setting: str, split: str
) -> Packed:
    """All subjects in a row, cropped to ``grid`` one by one while they are written.

    Raises:
        InputError: their images differ in units or origin, or their slices in the regions they number.
    """
    slices = [each.slices for each in subjects]
    low, t1 = [each.low.image for each in subjects], [each.t1 for each in slices]
    images = [each for subject in subjects for each in (subject.standard, subject.low)]

    def joined(arrays: Sequence[np.ndarray]) -> Parts:
        return Parts(
            shape=(sum(map(len, arrays)), grid.n_pixels, grid.n_pixels),
            dtype=arrays[0].dtype,
            parts=_cropped(arrays, grid.n_pixels),
        )

    return Packed(
        dataset=dataset,
        setting=setting,
        split=split,
        lineage=common_lineage((each.origin, each.lineage) for each in images),
        affine_ras_mm=grid.affine_ras_mm,
        pixel_mm=grid.pixel_mm,
        units=packed_units(_common_units(images), truth=True),
        key=[key for each in slices for key in each.key],
        subject=[each.subject for each in slices for _ in each.key],
        slice_mm=np.concatenate([each.slice_mm for each in slices]),
        angle_deg=np.concatenate([each.angle_deg for each in slices]),
        scale=_scales(low, grid.n_pixels),
        t1_scale=_scales(t1, grid.n_pixels),
        has_t1=np.ones(sum(map(len, t1)), bool),
        low=joined(low),
        standard=joined([each.standard.image for each in subjects]),
        t1=joined(t1),
        truth=joined([each.truth for each in subjects]),
        head=joined([each.head for each in slices]),
        labels=joined([each.labels for each in slices]),
        pet_lesions=joined([each.pet_lesions for each in slices]),
        t1_lesions=joined([each.t1_lesions for each in slices]),
        regions=joined(regions) if (regions := _regions(slices)) else None,
        region_names=slices[0].region_names,
    )


def _cropped(arrays: Sequence[np.ndarray], pixels: int) -> Iterator[np.ndarray]:
    return (central_crop(array, pixels) for array in arrays)


def _scales(arrays: Sequence[np.ndarray], pixels: int) -> np.ndarray:
    """What divides each slice for a network (slice,)."""
    crops = itertools.chain.from_iterable(_cropped(arrays, pixels))
    return np.array([activity_weighted_mean(crop) for crop in crops])


def _regions(slices: Sequence[KnownSlices]) -> list[np.ndarray]:
    """The regions of all subjects, which number the same ones; empty where there are none."""
    numbered = [list(each.region_names) if each.regions is not None else [] for each in slices]
    for each, names in zip(slices, numbered, strict=True):
        if names != numbered[0]:
            raise InputError(
                f"{each.origin}: numbers the regions {names}, but {slices[0].origin} {numbered[0]}; "
                "make the slices of both again."
            )
    return [each.regions for each in slices if each.regions is not None]


def _common_units(images: Sequence[ReconstructedSlices]) -> str:
    """The one unit that all images share."""
    first, *others = images
    for each in others:
        if (each.activity_units, each.activity_per_phantom_unit) != (
            first.activity_units,
            first.activity_per_phantom_unit,
        ):
            raise InputError(
                f"{each.origin} is in {each.activity_units} ({each.activity_per_phantom_unit:g} per "
                f"unit of the phantom), but {first.origin} in {first.activity_units} "
                f"({first.activity_per_phantom_unit:g}); make both again."
            )
    return first.activity_units
