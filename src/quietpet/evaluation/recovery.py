"""What noise realisations tell of a method: contrast recovery, background variability, bias, variance.

Of each realisation r the mean of a lesion's pixels is taken in the slice that has the lesion, p(r), and
in its twin without, a(r). With means over realisations, t for the truth and K realisations

    contrast recovery coefficient   CRC = (mean p / mean a - 1) / (t_p / t_a - 1)
    background variability          BV  = sd a / mean a

so that a hot and a cold lesion both have 1 when they are restored whole, 0 when they are lost, and less
than 0 when they are turned around (Wang & Qi, IEEE Trans Med Imaging 34:61, 2015; NEMA NU 2 takes the
background around the lesion instead). The error of a pixel is split as

    E (x - t)^2 = (E x - t)^2 + var x.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from quietpet.config.realisations import ABSENT
from quietpet.errors import InputError
from quietpet.evaluation.scoring import LINEAGE, NAMED_BY, require_images
from quietpet.files.realisations import KnownLesion, Realisations, Twin
from quietpet.files.text import csv_cell
from quietpet.phantom.tissues import Tissue

REGIONS: Mapping[str, Tissue | None] = {
    "head": None,
    "grey matter": Tissue.GREY_MATTER,
    "white matter": Tissue.WHITE_MATTER,
}
"""Where errors are averaged; None: all of the head."""

NAMED = (*NAMED_BY, "estimate", *LINEAGE)
"""Columns of every file: what was restored, and the facts that it inherits."""

_PLACE = ("subject", "slice_index", "lesion_set")

LESION_COLUMNS = (
    *_PLACE, "lesion", "radius_mm", "contrast", "pixels", "true_contrast", "mean_contrast", "crc",
    "crc_se", "background_variability", "realisations",
)  # fmt: skip
"""Of each lesion; ``contrast`` is that of its disc to white matter, ``true_contrast`` that of its pixels
to the same pixels without it. ``crc_se`` is the standard error by the noise of the realisations."""

NOISE_COLUMNS = (
    *_PLACE, "region", "pixels", "true_mean", "mean_bias", "mse", "bias_squared", "variance",
    "realisations",
)  # fmt: skip
"""Of each region of each twin. ``mean_bias`` is a part of ``true_mean``, the next three of its square,
and the first of these is the sum of the others."""


@dataclass(frozen=True, kw_only=True)
class Recovery:
    """Contrast recovery of one lesion, and the noise of the background where it is not.

    ``crc_se`` is the standard error of ``crc`` by the noise of so many ``realisations``.
    """

    true_contrast: float
    mean_contrast: float
    crc: float
    crc_se: float
    background_variability: float
    realisations: int


@dataclass(frozen=True, kw_only=True)
class ErrorParts:
    """Error of the pixels of a region, mean over them; squares are in the unit of the images squared.

    ``bias_squared`` is estimated without the part that noise of the mean adds, so that it may be a
    little below 0; ``mse`` is its sum with ``variance``.
    """

    mean_bias: float
    mse: float
    bias_squared: float
    variance: float


def require_realisations(data: Realisations) -> None:
    """Refuse images that hold NaN or infinity, twins of one realisation, and lesions without a twin."""
    for name in ("standard", "low"):
        require_images(getattr(data, name), data.key, what=f"{data.origin}:{name}")
    twins = data.twins
    for twin, rows in twins.items():
        if len(rows) < 2:
            raise InputError(
                f"{data.origin}: has one realisation of subject {twin.subject}, slice "
                f"{twin.slice_index}, lesions {twin.lesion_set!r}; noise is seen in two or more: "
                "raise realisations.count."
            )
        if twin._replace(lesion_set=ABSENT) not in twins:
            raise InputError(
                f"{data.origin}: lacks the slice {twin.slice_index} of subject {twin.subject} without "
                "lesions, with which lesions are compared; make it again."
            )


def recovery(
    present: np.ndarray, absent: np.ndarray, *, true_present: float, true_absent: float
) -> Recovery:
    """Of the means of one lesion's pixels in each realisation (realisation,), with and without it.

    NaN where the truth or the mean image has no activity without the lesion, or the truth no contrast.
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        background, seen = absent.mean(dtype=np.float64), present.mean(dtype=np.float64)
        ratio = seen / background
        # First order: relative variances of a ratio add.
        spread = np.hypot(_standard_error(present), ratio * _standard_error(absent)) / background
        true_contrast = np.float64(true_present) / (true_absent or np.nan) - 1
        values = {
            "true_contrast": true_contrast,
            "mean_contrast": ratio - 1,
            "crc": (ratio - 1) / true_contrast,
            "crc_se": spread / abs(true_contrast),
            "background_variability": absent.std(ddof=1, dtype=np.float64) / background,
        }
    return Recovery(
        realisations=len(present),
        **{name: float(value) if np.isfinite(value) else math.nan for name, value in values.items()},
    )


def error_parts(images: np.ndarray, truth: np.ndarray, region: np.ndarray) -> ErrorParts:
    """Of realisations (realisation, y, x), two or more, of the same ``truth`` (y, x)."""
    values, true = images[:, region].astype(np.float64), truth[region].astype(np.float64)
    mse = float(np.square(values - true).mean())
    variance = float(values.var(axis=0, ddof=1).mean())
    # The square of the mean's error holds variance / n of noise; without it the parts still add up.
    return ErrorParts(
        mean_bias=float((values - true).mean()),
        mse=mse,
        bias_squared=mse - variance,
        variance=variance,
    )


def lesion_rows(images: np.ndarray, data: Realisations) -> Iterator[dict[str, Any]]:
    """One row per lesion, with :data:`LESION_COLUMNS`, of ``images`` in the rows of ``data``."""
    twins = data.twins
    for lesion in data.known_lesions:
        present = twins[Twin(lesion.subject, lesion.slice_index, lesion.lesion_set)]
        absent = twins[Twin(lesion.subject, lesion.slice_index, ABSENT)]
        inside = data.pet_lesions[present[0]] == lesion.number
        found = recovery(
            _means(images[present], inside),
            _means(images[absent], inside),
            true_present=float(data.truth[present[0]][inside].mean(dtype=np.float64)),
            true_absent=float(data.truth[absent[0]][inside].mean(dtype=np.float64)),
        )
        yield {
            **_of_lesion(lesion),
            "pixels": int(inside.sum()),
            **{name: _cell(value) for name, value in vars(found).items()},
        }


def noise_rows(images: np.ndarray, data: Realisations) -> Iterator[dict[str, Any]]:
    """One row per twin and region, with :data:`NOISE_COLUMNS`, of ``images`` in the rows of ``data``."""
    for twin, rows in data.twins.items():
        truth, head, labels = (each[rows[0]] for each in (data.truth, data.head > 0, data.labels))
        for name, tissue in REGIONS.items():
            region = head if tissue is None else head & (labels == tissue)
            true_mean = float(truth[region].mean(dtype=np.float64)) if region.any() else 0.0
            if true_mean <= 0:
                continue
            parts = error_parts(images[rows], truth, region)
            relative = {
                "mean_bias": parts.mean_bias / true_mean,
                "mse": parts.mse / true_mean**2,
                "bias_squared": parts.bias_squared / true_mean**2,
                "variance": parts.variance / true_mean**2,
            }
            yield {
                **twin._asdict(),
                "region": name,
                "pixels": int(region.sum()),
                "true_mean": csv_cell(true_mean),
                **{name: csv_cell(value) for name, value in relative.items()},
                "realisations": len(rows),
            }


def noise_maps(images: np.ndarray, data: Realisations) -> tuple[np.ndarray, np.ndarray]:
    """Bias and sample standard deviation (twin, y, x), in the order of ``data.twins``, float32."""
    bias, deviation = [], []
    for rows in data.twins.values():
        of_twin = images[rows].astype(np.float64)
        bias.append(of_twin.mean(axis=0) - data.truth[rows[0]])
        deviation.append(of_twin.std(axis=0, ddof=1))
    return np.stack(bias).astype(np.float32), np.stack(deviation).astype(np.float32)


def _of_lesion(lesion: KnownLesion) -> dict[str, Any]:
    return {
        "subject": lesion.subject,
        "slice_index": lesion.slice_index,
        "lesion_set": lesion.lesion_set,
        "lesion": lesion.number,
        "radius_mm": csv_cell(lesion.radius_mm),
        "contrast": csv_cell(lesion.contrast),
    }


def _means(images: np.ndarray, inside: np.ndarray) -> np.ndarray:
    """Mean of the pixels ``inside`` in each of ``images`` (row,)."""
    return images[:, inside].mean(axis=1, dtype=np.float64)


def _standard_error(values: np.ndarray) -> np.float64:
    return values.std(ddof=1, dtype=np.float64) / np.sqrt(len(values))


def _cell(value: float) -> str:
    """A number of a table; empty where it is not defined."""
    return "" if math.isnan(value) else csv_cell(value)
