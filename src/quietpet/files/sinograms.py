"""Files of sinograms: what a scan recorded of some slices at one dose, and what models it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from quietpet.files.hdf5 import open_hdf5, read_attribute, read_nonnegative, read_strings
from quietpet.files.lineage import Lineage, lineage_of

_MEASURED = ("prompts", "attenuation", "normalisation", "counts_per_activity")


@dataclass(frozen=True, kw_only=True, eq=False)
class Sinograms:
    """The scan of some slices at one dose: arrays (slice, view, bin), float32.

    Of an image x, ``multiplicative`` * P(blur x) + ``background`` of the ``prompts`` are expected, with
    line integrals P in pixels. ``multiplicative`` is attenuation x normalisation x counts per activity;
    ``background`` is None without scatter and randoms. ``through_air`` (bool) marks the lines that
    nothing attenuates. Images are in ``activity_units``, of which ``activity_per_phantom_unit`` are one
    unit of the phantom. ``origin`` is the file, or what else messages call them.
    """

    origin: Path | str
    dose: str
    keys: list[str]
    prompts: np.ndarray
    multiplicative: np.ndarray
    background: np.ndarray | None
    through_air: np.ndarray
    activity_units: str
    activity_per_phantom_unit: float
    lineage: Lineage


def read_sinograms(path: Path) -> Sinograms:
    """A whole file; values that are not finite are refused."""
    with open_hdf5(path, kind="sinograms") as file:
        names = (*_MEASURED, *(("background",) if "background" in file else ()))
        return sinograms_of(
            {name: read_nonnegative(file, name) for name in names},
            origin=path,
            dose=read_attribute(file, "dose"),
            keys=read_strings(file, "key"),
            activity_units=read_attribute(file, "activity_units"),
            activity_per_phantom_unit=read_attribute(file, "activity_per_phantom_unit"),
            lineage=lineage_of(file),
        )


def sinograms_of(
    arrays: Mapping[str, np.ndarray],
    *,
    origin: Path | str,
    dose: str,
    keys: list[str],
    activity_units: str,
    activity_per_phantom_unit: float,
    lineage: Lineage,
) -> Sinograms:
    """The record of the ``arrays`` of a file of kind "sinograms"."""
    multiplicative = arrays["attenuation"] * arrays["normalisation"]
    multiplicative *= arrays["counts_per_activity"][:, None, None].astype(np.float32)
    return Sinograms(
        origin=origin,
        dose=dose,
        keys=keys,
        prompts=arrays["prompts"].astype(np.float32),
        multiplicative=multiplicative,
        background=arrays.get("background"),
        through_air=arrays["attenuation"] >= 1,
        activity_units=activity_units,
        activity_per_phantom_unit=activity_per_phantom_unit,
        lineage=lineage,
    )
