"""Checks of what the public functions are given: arrays, names of slices, names in a study."""

from __future__ import annotations

from collections.abc import Collection, Sequence

import numpy as np
from numpy.typing import ArrayLike

from quietpet.errors import InputError
from quietpet.study.data_sets import DataSet, Simulated
from quietpet.study.root import Study


def data_set_of(study: Study, name: str, dose: str) -> DataSet:
    """The data set ``name``, which has a low dose called ``dose``."""
    require_name(name, study.data_sets, what="data set", owner="this study")
    data_set = study.data_sets[name]
    require_name(dose, data_set.settings, what="low dose", owner=f"data set {name!r}")
    return data_set


def simulated_of(study: Study, name: str, dose: str) -> Simulated:
    """The simulated data set ``name``, which has a dose called ``dose``."""
    require_name(name, study.simulated, what="simulated data set", owner="this study")
    data_set = study.simulated[name]
    require_name(dose, data_set.study.doses.levels, what="dose", owner=f"data set {name!r}")
    return data_set


def require_name(name: str, known: Collection[str], *, what: str, owner: str) -> None:
    """Refuse a ``name`` that is none of those ``known``, which ``owner`` has."""
    if name not in known:
        raise InputError(f"{owner} has no {what} {name!r}; there are: {', '.join(known)}.")


def image_stack(name: str, values: ArrayLike, shape: tuple[int, ...] | None = None) -> np.ndarray:
    """A copy of ``values`` as finite float32 images (slice, y, x) of ``shape``, or of any square."""
    images = np.asarray(values)
    if images.dtype.kind not in "biuf":
        raise InputError(f"{name}: real numbers are wanted, got an array of {images.dtype}.")
    if images.ndim != 3 or not images.size or images.shape[1] != images.shape[2]:
        raise InputError(
            f"{name}: square images (slice, y, x) are wanted, got an array of shape {images.shape}; a "
            "single image (y, x) is image[None]."
        )
    if shape is not None and images.shape != shape:
        raise InputError(f"{name}: its shape is {images.shape}, that of the other images {shape}.")
    with np.errstate(over="ignore"):  # becomes infinite, which is refused
        copied = np.array(images, dtype=np.float32, order="C")
    if bad := np.count_nonzero(~np.isfinite(copied)):
        raise InputError(
            f"{name}: {bad} of {copied.size} values are not finite; give a number in each pixel."
        )
    return copied


def region_numbers(name: str, values: ArrayLike, shape: tuple[int, ...]) -> np.ndarray:
    """A mask, or numbers of regions or tissues, (slice, y, x): whole numbers from 0."""
    numbers = image_stack(name, values, shape)
    if (numbers < 0).any() or (numbers != np.round(numbers)).any():
        raise InputError(f"{name}: whole numbers from 0 are wanted: 0 outside, 1 and more inside.")
    return numbers.astype(np.int64)


def slice_positions(slice_mm: float | Sequence[float], count: int) -> np.ndarray:
    """Positions (slice,), from one number for all or one for each."""
    positions = np.asarray(slice_mm, dtype=np.float64)
    if positions.shape not in ((), (count,)) or not np.isfinite(positions).all():
        raise InputError(f"slice_mm: one finite number is wanted, or {count}, got {slice_mm!r}.")
    return np.broadcast_to(positions, (count,)).copy()


def slice_names(keys: Sequence[str] | None, count: int, *, subject: str) -> list[str]:
    """Names of the slices, all different: they seed their noise."""
    names = [f"{subject}/{row}" for row in range(count)] if keys is None else list(keys)
    if len(names) != count or len(set(names)) != count:
        raise InputError(f"keys: {count} different names are wanted, one for each slice, got {names}.")
    return names
