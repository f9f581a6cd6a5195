"""Contrast recovery, bias and noise of all methods: means over subjects, slices and like lesions."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy import ndimage

from quietpet.config.realisations import ABSENT
from quietpet.errors import InputError
from quietpet.evaluation.one_training import require_one_training
from quietpet.evaluation.recovery import (
    LESION_COLUMNS,
    NAMED,
    NOISE_COLUMNS,
    REGIONS,
    lesion_rows,
    noise_rows,
)
from quietpet.evaluation.rows import Row, columns_of
from quietpet.evaluation.scoring import LINEAGE, reported
from quietpet.files.realisations import Realisations
from quietpet.units import sigma_from_fwhm

STANDARD, LOW = "standard dose", "low dose"
"""What the rows of the doses themselves have as ``method``; no method is called so."""

FILTERS_MM = (2.0, 4.0, 6.0, 8.0, 10.0)
"""Gaussian filters of the low dose, FWHM [mm]: the recovery that mere smoothing leaves at each noise."""

_NUMBERS = {
    **dict.fromkeys(("slice_index", "lesion", "pixels", "realisations"), int),
    **dict.fromkeys(
        (
            "radius_mm", "contrast", "true_contrast", "mean_contrast", "crc", "crc_se",
            "background_variability", "true_mean", "mean_bias", "mse", "bias_squared", "variance",
        ),
        float,
    ),
}  # fmt: skip
LESION_TABLE, NOISE_TABLE = (*NAMED, *LESION_COLUMNS), (*NAMED, *NOISE_COLUMNS)

_RUN = ["dataset", "setting", "method", "learning", "replicate", "estimate"]
_FILTER = "post_fwhm_mm"


@dataclass(frozen=True, kw_only=True)
class RecoveryRow(Row):
    """Lesions of one size and contrast, restored by one method; the fields are the columns of the CSV.

    ``crc`` and ``background_variability_percent`` are means over so many lesions. ``crc_se`` is the
    standard error of the first by the noise of the realisations, ``crc_std`` its standard deviation
    between lesions (None of one alone). ``post_fwhm_mm`` filters the images after; 0: not at all.
    """

    dataset: str
    setting: str
    method: str
    learning: str
    replicate: str
    estimate: str
    post_fwhm_mm: float
    lesion_set: str
    kind: str
    radius_mm: float
    contrast: float
    true_contrast: float
    crc: float | None
    crc_se: float | None
    crc_std: float | None
    background_variability_percent: float | None
    n_lesions: int
    n_subjects: int
    realisations: int
    data_source: str
    projector: str
    registration: str


@dataclass(frozen=True, kw_only=True)
class NoiseRow(Row):
    """Error of one method in one region of slices without lesions; the fields are columns of the CSV.

    All in percent of the region's true mean: ``mean_bias_percent`` with its sign; the others are roots
    of means over pixels, and rmse^2 = bias^2 + sd^2 (but where the estimated bias^2 is below 0, and the
    bias is 0). The squares are means over so many slices. ``rmse_se_percent`` is the standard error of
    the RMSE over subjects (None of one alone); of its noise and of other trainings it holds nothing.
    """

    dataset: str
    setting: str
    method: str
    learning: str
    replicate: str
    estimate: str
    region: str
    mean_bias_percent: float
    rmse_percent: float
    rmse_se_percent: float | None
    bias_percent: float
    sd_percent: float
    n_slices: int
    n_subjects: int
    realisations: int
    data_source: str
    projector: str
    registration: str


RECOVERY_COLUMNS = columns_of(RecoveryRow)
BIAS_COLUMNS = columns_of(NoiseRow)


def typed(rows: pd.DataFrame | list[dict[str, object]], columns: Sequence[str]) -> pd.DataFrame:
    """Rows of text as a table with numbers; empty cells are NaN."""
    table = pd.DataFrame(rows, columns=list(columns), dtype=str)
    for name in set(columns) & set(_NUMBERS):
        table[name] = pd.to_numeric(table[name]).astype(_NUMBERS[name])
    return table


def measured_doses(data: Realisations, *, also_low: bool) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Lesions and noise of the standard dose, of the low dose, and of the low dose filtered.

    The first have a column ``post_fwhm_mm`` more than those of methods. Without ``also_low`` the low
    dose has no row of its own, because it is a method.
    """
    named = {
        "dataset": data.dataset, "setting": data.setting, "learning": "-", "replicate": "-",
        "estimate": "single", **reported(data.lineage),
    }  # fmt: skip
    images = [(STANDARD, 0.0, data.standard), *([(LOW, 0.0, data.low)] if also_low else [])]
    filtered = ((LOW, fwhm_mm, smoothed(data, fwhm_mm)) for fwhm_mm in FILTERS_MM)
    lesions, noise = [], []
    for method, fwhm_mm, image in itertools.chain(images, filtered):
        own = {**named, "method": method}
        lesions += [{**own, **row, _FILTER: fwhm_mm} for row in lesion_rows(image, data)]
        if not fwhm_mm:
            noise += [{**own, **row} for row in noise_rows(image, data)]
    return (
        typed(lesions, LESION_TABLE).assign(**{_FILTER: [row[_FILTER] for row in lesions]}),
        typed(noise, NOISE_TABLE),
    )


def smoothed(data: Realisations, fwhm_mm: float) -> np.ndarray:
    """The low-dose images (row, y, x) after a Gaussian filter."""
    sigma = sigma_from_fwhm(fwhm_mm) / data.pixel_mm
    return ndimage.gaussian_filter(data.low, (0, sigma, sigma), mode="constant")


def recovery_rows(lesions: pd.DataFrame, *, methods: Sequence[str]) -> tuple[RecoveryRow, ...]:
    """One row per run, filter, lesion set, radius and contrast; the doses first, then ``methods``.

    Raises:
        InputError: methods that the study lacks, or that come with several trainings, or a lesion
            that is measured twice.
    """
    _require_known(lesions, methods)
    by = [*_RUN, _FILTER, "lesion_set", "radius_mm", "contrast"]
    _require_once(lesions, [*by, "subject", "slice_index", "lesion"])
    require_one_training(lesions[list(_RUN)].drop_duplicates().itertuples(index=False, name="Run"))
    rows = [_recovery_row(group) for _, group in lesions.groupby(by, sort=False)]
    return tuple(sorted(rows, key=lambda row: (*_order(row, methods), row.post_fwhm_mm)))


def _recovery_row(group: pd.DataFrame) -> RecoveryRow:
    first, crc = group.iloc[0], group["crc"].dropna()
    noise = group["crc_se"].dropna()
    return RecoveryRow(
        **{name: first[name] for name in (*_RUN, *LINEAGE, "lesion_set")},
        post_fwhm_mm=float(first[_FILTER]),
        kind="hot" if first["contrast"] > 0 else "cold",
        radius_mm=float(first["radius_mm"]),
        contrast=float(first["contrast"]),
        true_contrast=float(group["true_contrast"].mean()),
        crc=_mean(crc),
        crc_se=math.sqrt(float((noise**2).sum())) / len(noise) if len(noise) else None,
        crc_std=float(crc.std(ddof=1)) if len(crc) > 1 else None,
        background_variability_percent=_mean(100 * group["background_variability"].dropna()),
        n_lesions=len(group),
        n_subjects=group["subject"].nunique(),
        realisations=int(group["realisations"].min()),
    )


def bias_rows(noise: pd.DataFrame, *, methods: Sequence[str]) -> tuple[NoiseRow, ...]:
    """One row per run and region, of the slices without lesions; raised as :func:`recovery_rows`."""
    _require_known(noise, methods)
    plain = noise[noise["lesion_set"] == ABSENT]
    _require_once(plain, [*_RUN, "region", "subject", "slice_index"])
    require_one_training(noise[list(_RUN)].drop_duplicates().itertuples(index=False, name="Run"))
    rows = [_noise_row(group) for _, group in plain.groupby([*_RUN, "region"], sort=False)]
    return tuple(sorted(rows, key=lambda row: (*_order(row, methods), list(REGIONS).index(row.region))))


def _noise_row(group: pd.DataFrame) -> NoiseRow:
    first = group.iloc[0]

    def root_percent(square: str) -> float:
        return 100 * math.sqrt(max(0.0, float(group[square].mean())))

    return NoiseRow(
        **{name: first[name] for name in (*_RUN, *LINEAGE, "region")},
        mean_bias_percent=100 * float(group["mean_bias"].mean()),
        rmse_percent=root_percent("mse"),
        rmse_se_percent=_rmse_se_percent(group),
        bias_percent=root_percent("bias_squared"),
        sd_percent=root_percent("variance"),
        n_slices=len(group),
        n_subjects=group["subject"].nunique(),
        realisations=int(group["realisations"].min()),
    )


def _rmse_se_percent(slices: pd.DataFrame) -> float | None:
    """Standard error of the root of the mean of ``mse`` over slices; None of one subject.

    The slices of a subject go together: the mean is a ratio of the subjects' totals (Cochran, Sampling
    Techniques, 1977, chapter 6), of equal numbers of slices s / sqrt(n); then the delta method.
    """
    mean = float(slices["mse"].mean())
    totals = (slices["mse"] - mean).groupby(slices["subject"]).sum()
    subjects = len(totals)
    if subjects < 2:
        return None
    variance = subjects / (subjects - 1) * float((totals**2).sum()) / len(slices) ** 2
    return 100 * math.sqrt(variance) / (2 * math.sqrt(mean)) if mean > 0 else 0.0


def _mean(values: pd.Series) -> float | None:
    return float(values.mean()) if len(values) else None


def _order(row: RecoveryRow | NoiseRow, methods: Sequence[str]) -> tuple[object, ...]:
    names = (STANDARD, LOW, *methods)
    return row.dataset, row.setting, names.index(row.method), row.learning, row.estimate != "single"


def _require_known(rows: pd.DataFrame, methods: Sequence[str]) -> None:
    if unknown := sorted(set(rows["method"]) - {STANDARD, LOW, *methods}):
        raise InputError(
            f"realisations restored by {unknown[0]!r}, which is no method of this study; there are "
            f"{', '.join(methods)}. Leave that file out."
        )


def _require_once(rows: pd.DataFrame, names: list[str]) -> None:
    twice = rows[rows.duplicated(names)]
    if len(twice):
        first = twice.iloc[0]
        raise InputError(
            f"{first['dataset']}/{first['setting']}, {first['method']}: subject {first['subject']}, "
            f"slice {first['slice_index']} is measured twice. Give each file once."
        )


def by_dataset(rows: Sequence[RecoveryRow | NoiseRow]) -> Iterator[tuple[tuple[str, str], list]]:
    """Rows of each data set and setting, in their order."""
    for place, members in itertools.groupby(rows, key=lambda row: (row.dataset, row.setting)):
        yield place, list(members)
