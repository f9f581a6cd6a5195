"""Files of sinograms: what a scan recorded of some slices at one dose, and what models it."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar

import numpy as np

from quietpet.files.lineage import Lineage
from quietpet.files.records import NONNEGATIVE, TEXTS, Record, read_record


@dataclass(frozen=True, kw_only=True, eq=False)
class CountedSlices(Record):
    """How many events each slice recorded, and how many of each kind were expected (slice,).

    ``achieved_counts`` are all prompts of the slice, the others those of the lines of response that see
    activity.
    """

    KIND: ClassVar[str] = "sinograms"
    AXES: ClassVar[str] = "(slice, view, bin)"

    subject: str
    dose: str
    key: list[str] = field(metadata=TEXTS)
    achieved_counts: np.ndarray = field(metadata=NONNEGATIVE)
    expected_trues: np.ndarray = field(metadata=NONNEGATIVE)
    expected_scattered: np.ndarray = field(metadata=NONNEGATIVE)
    expected_randoms: np.ndarray = field(metadata=NONNEGATIVE)


@dataclass(frozen=True, kw_only=True, eq=False)
class ModelledSlices(Record):
    """The prompts (slice, view, bin) of a scan, and what models them; units as in :class:`Sinograms`.

    ``normalisation`` (view, bin) is the same for all slices, ``counts_per_activity`` (slice,).
    """

    KIND: ClassVar[str] = "sinograms"
    AXES: ClassVar[str] = "(slice, view, bin)"

    dose: str
    activity_units: str
    activity_per_phantom_unit: float
    lineage: Lineage
    key: list[str] = field(metadata=TEXTS)
    prompts: np.ndarray = field(metadata=NONNEGATIVE)
    attenuation: np.ndarray = field(metadata=NONNEGATIVE)
    normalisation: np.ndarray = field(metadata=NONNEGATIVE)
    counts_per_activity: np.ndarray = field(metadata=NONNEGATIVE)
    background: np.ndarray | None = field(default=None, metadata=NONNEGATIVE)


@dataclass(frozen=True, kw_only=True, eq=False)
class ScannedDose(ModelledSlices, CountedSlices):
    """All of a file of sinograms.

    ``random_prompts`` are those among the prompts, ``delayed`` those of the delayed window; ``scatter``
    is expected. None where the scan has no such events. ``nominal_counts`` (slice,) are those asked for,
    where a dose is given by counts.
    """

    scatter: np.ndarray | None = field(default=None, metadata=NONNEGATIVE)
    random_prompts: np.ndarray | None = field(default=None, metadata=NONNEGATIVE)
    delayed: np.ndarray | None = field(default=None, metadata=NONNEGATIVE)
    nominal_counts: np.ndarray | None = field(default=None, metadata=NONNEGATIVE)


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
    """A whole file; values that are negative or not finite are refused."""
    return sinograms_of(read_record(path, ModelledSlices))


def sinograms_of(scan: ModelledSlices) -> Sinograms:
    """The factors of ``scan`` multiplied."""
    multiplicative = scan.attenuation * scan.normalisation
    multiplicative *= scan.counts_per_activity[:, None, None].astype(np.float32)
    return Sinograms(
        origin=scan.origin,
        dose=scan.dose,
        keys=scan.key,
        prompts=scan.prompts.astype(np.float32),
        multiplicative=multiplicative,
        background=scan.background,
        through_air=scan.attenuation >= 1,
        activity_units=scan.activity_units,
        activity_per_phantom_unit=scan.activity_per_phantom_unit,
        lineage=scan.lineage,
    )
