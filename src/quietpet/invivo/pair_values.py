"""What the values of a pair's images say against each other, and against what was injected."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from quietpet.geometry.volume import Volume
from quietpet.invivo.findings import Finding, Severity
from quietpet.invivo.pair_likeness import Likeness, likeness
from quietpet.invivo.pair_units import half_life_s, remaining
from quietpet.invivo.pairs import PairImage
from quietpet.invivo.plausible import LEAST_OF_DOSE, MOST_OF_DOSE
from quietpet.invivo.scans import BQ_PER_MBQ
from quietpet.units import MM3_PER_ML

_ALIKE = (0.8, 1.25)
"""Activity of a low dose over that of the standard one; kinetics between two windows stay within."""

_POSSIBLE = (0.5, 2.0)
"""Beyond, one of the two is scaled otherwise: a part of the counts that was not divided by that part."""

_MOST_NEGATIVE = 0.1
"""Of the activity; filtered back-projection leaves less within a head."""

_LEAST_SHOWN = 0.95
_MOST_APART_MM = 10.0
_DOUBTED_APART_MM = 3.0

_LEAST_DIFFERENT = 1e-3
"""Of the standard dose; rounding to 16 bits is a tenth of it, noise of half the counts a hundredfold."""

_LEAST_LIKE, _LIKE = 0.9, 0.975
"""Correlation of smoothed heads. Of simulated heads in 1/113 of the counts it is 0.983 and more, of
other heads 0.92 to 0.99, of an even one 0.6 to 0.85, of one upside down or back to front below 0.76."""

_TELLS_SIDES = 0.005
"""Of correlations: simulated heads, also in 1/113 of the counts, differ by more from mirror images."""

_HEAD = 0.2
"""Of the 95th percentile of what is above 0; activity above it is the head."""

_HEAD_BQ_PER_ML = (50.0, 1e6)
"""Mean of a head, and bounds of ours: an SUV, or kBq/mL, that is called Bq/mL lies below."""


@dataclass(frozen=True, kw_only=True)
class Agreement:
    """A low dose against the standard one, each within the field of view of the other.

    ``ratio`` is that of their activities, ``apart_mm`` the distance of their centres, ``shown`` the part
    of the standard activity that lies in the low dose's field of view.
    """

    ratio: float
    apart_mm: float
    shown: float


def agreement(standard: Volume, low: Volume) -> Agreement:
    """Of two images [Bq/mL] in one world, on whatever voxels."""
    of_standard, of_low = _shared(standard, low), _shared(low, standard)
    whole = float(standard.values.sum(dtype=np.float64)) * _voxel_ml(standard)
    return Agreement(
        ratio=of_low[0] / of_standard[0] if of_standard[0] > 0 else np.inf,
        apart_mm=float(np.linalg.norm(of_low[1] - of_standard[1])),
        shown=of_standard[0] / whole,
    )


def _shared(image: Volume, other: Volume) -> tuple[float, np.ndarray]:
    """Activity [Bq] of ``image`` in the field of view of ``other``, and its centre [mm], (3,)."""
    total, moment = 0.0, np.zeros(3)
    in_plane = np.indices(image.values.shape[:2]).reshape(2, -1).T
    for k in range(image.values.shape[2]):  # plane by plane: positions of all voxels are gigabytes
        places = image.world_mm(np.column_stack([in_plane, np.full(len(in_plane), k)]))
        inside = other.contains(places)
        values = image.values[:, :, k].ravel()[inside].astype(np.float64)
        total += values.sum()
        moment += values @ places[inside]
    centre = moment / total if total > 0 else np.full(3, np.nan)
    return total * _voxel_ml(image), centre


def _voxel_ml(image: Volume) -> float:
    return abs(float(np.linalg.det(image.affine_ras_mm[:3, :3]))) / MM3_PER_ML


def image_findings(row: PairImage, image: Volume, *, at_s: float | None) -> Iterator[Finding]:
    """One image [Bq/mL] at ``at_s`` by itself: activity is not below 0, nor more than was injected."""
    positive = float(image.values.clip(min=0).sum(dtype=np.float64))
    negative = positive - float(image.values.sum(dtype=np.float64))
    if not positive > 0:
        yield _found(
            row,
            "error",
            f"largest value {image.values.max():g} Bq/mL",
            "activity",
            "nothing in the image is above 0",
        )
        return
    if negative > 0:
        share = negative / positive
        yield _found(
            row,
            "error" if share > _MOST_NEGATIVE else "warning",
            f"values down to {image.values.min():g} Bq/mL, {share:.2%} of the activity",
            "no value below 0",
            "activity is not below 0; is it a difference, or was an offset taken off?",
            correction="" if share > _MOST_NEGATIVE else "read as it is",
        )
    yield from _against_usual(row, image)
    yield from _against_injected(row, image, at_s=at_s)


def _against_usual(row: PairImage, image: Volume) -> Iterator[Finding]:
    above = image.values[image.values > 0]
    mean = float(above[above > _HEAD * np.percentile(above, 95)].mean(dtype=np.float64))
    low, high = _HEAD_BQ_PER_ML
    if not low <= mean <= high:
        yield _found(
            row,
            "warning",
            f"{mean:.3g} Bq/mL in the mean of the head",
            f"{low:g} to {high:g} Bq/mL",
            f"its unit is said to be {row.unit}; is it another one?",
            correction="read as it is",
        )


def _against_injected(row: PairImage, image: Volume, *, at_s: float | None) -> Iterator[Finding]:
    if row.injected_mbq is None:
        return
    left = remaining(row, at_s) if at_s and half_life_s(row) else 1.0
    held_mbq = float(image.values.sum(dtype=np.float64)) * _voxel_ml(image) / BQ_PER_MBQ
    given_mbq = row.injected_mbq * left
    told = f"{held_mbq:.3g} MBq in the image"
    given = f"{row.injected_mbq:g} MBq were injected, of which {given_mbq:.3g} MBq are left at its time"
    if held_mbq > MOST_OF_DOSE * given_mbq:
        yield _found(
            row, "error", told, f"at most {given_mbq:.3g} MBq", f"{given}; unit or dose is wrong"
        )
    elif held_mbq < LEAST_OF_DOSE * given_mbq:
        yield _found(
            row,
            "warning",
            told,
            f"at least {LEAST_OF_DOSE * given_mbq:.3g} MBq",
            f"{given}; is the unit another one?",
            correction="read as it is",
        )


def pair_findings(row: PairImage, low: Volume, standard: Volume) -> Iterator[Finding]:
    """A low dose [Bq/mL] against the standard one, in one world and at one time."""
    same_grid = low.values.shape == standard.values.shape
    if same_grid and np.array_equal(low.values, standard.values):
        yield _found(row, "error", "the values of the standard dose", "another image", "they are equal")
        return
    found, alike = agreement(standard, low), likeness(standard, low)
    if alike.difference < _LEAST_DIFFERENT:
        yield _found(
            row,
            "error",
            f"the values of the standard dose, times {found.ratio:.3g}",
            "another image",
            f"they differ by {alike.difference:.1g} of them; a low dose has noise of its own",
        )
        return
    if found.shown < _LEAST_SHOWN:
        yield _found(
            row,
            "error",
            f"{found.shown:.0%} of the standard dose's activity in its field of view",
            f"at least {_LEAST_SHOWN:.0%}",
            "where it shows nothing there is no pair",
            column="pet",
        )
        return
    if row.same_position and not found.apart_mm <= _MOST_APART_MM:
        yield _found(
            row,
            "error",
            f"{found.apart_mm:.1f} mm between the centres of activity of low and standard dose",
            f"at most {_MOST_APART_MM:g} mm",
            "their headers put them in two places; write same_position: no if they are two scans",
            column="same_position",
        )
        return
    outside = not _POSSIBLE[0] <= found.ratio <= _POSSIBLE[1]
    if not _ALIKE[0] <= found.ratio <= _ALIKE[1]:
        limits = _POSSIBLE if outside else _ALIKE
        yield _found(
            row,
            "error" if outside else "warning",
            f"{found.ratio:.3g} of the standard dose's activity",
            f"{limits[0]:g} to {limits[1]:g}",
            "a low dose has fewer counts, not another activity: unit, dose or scaling of one is wrong"
            if outside
            else "a low dose has fewer counts, not another activity: networks learn the ratio",
            correction="" if outside else "read as it is",
        )
    if not outside:
        yield from _another_head(row, found, alike)


def _another_head(row: PairImage, found: Agreement, alike: Likeness) -> Iterator[Finding]:
    """A low dose that shows something else than the head of the standard one, or that elsewhere."""
    best = max(alike.correlation, alike.centred)
    told = f"alike the standard dose by {alike.correlation:.3f} (correlation of smoothed heads)"
    if alike.mirrored > max(best + _TELLS_SIDES, _LEAST_LIKE):
        yield _found(
            row,
            "error",
            f"{told}, and by {alike.mirrored:.3f} with left and right exchanged",
            "as the standard dose lies",
            "the values or the affine of one of them are mirrored",
        )
    elif best < _LEAST_LIKE:
        yield _found(
            row,
            "error",
            told,
            f"at least {_LEAST_LIKE:g}",
            "it shows another head, the same turned round, or none",
        )
    elif alike.centred > alike.correlation and found.apart_mm > _DOUBTED_APART_MM:
        yield _found(
            row,
            "warning",
            f"{found.apart_mm:.1f} mm between the centres of activity of low and standard dose",
            f"at most {_DOUBTED_APART_MM:g} mm",
            "write same_position: no if they are two scans, and it is registered",
            correction="taken as it lies",
            column="same_position",
        )
    elif best < _LIKE:
        yield _found(
            row,
            "warning",
            told,
            f"at least {_LIKE:g}",
            "is it of another person, or of very few counts?",
            correction="read as it is",
        )


def _found(
    row: PairImage,
    severity: Severity,
    value: str,
    expected: str,
    evidence: str,
    *,
    correction: str = "",
    column: str = "values",
) -> Finding:
    told = {"correction": correction} if correction else {}
    return row.pet_origin.finding(
        "pair-values",
        severity,
        f"{column} ({row.dose})",
        value=value,
        expected=expected,
        evidence=evidence,
        **told,
    )
