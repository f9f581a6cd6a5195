"""What the samples of stochastic methods say of their own errors, slice by slice and subject by subject.

Intervals are of pixels inside the head. Their conformal factor is found on other test subjects than the
one that they are tried on: validation slices are not restored, and learning rates and filters were
chosen there, as nothing was on test slices.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from functools import cached_property
from typing import Any, Literal

import numpy as np

from quietpet.errors import InputError
from quietpet.evaluation.calibration import (
    conformal_scale,
    coverage,
    predictive_quantile,
    promised_scales,
    standardised_errors,
    units_needed,
)
from quietpet.evaluation.rows import Row, columns_of
from quietpet.evaluation.scoring import estimates_of, names_of, require_images
from quietpet.evaluation.sparsification import (
    REMOVED,
    Sparsification,
    rank_correlation,
    sparsification,
)
from quietpet.evaluation.spread import LITTLE_SPREAD, spread_to_error, spreads_little
from quietpet.evaluation.statistics import Interval, ends, t_interval
from quietpet.files.packed import ReferenceSlices
from quietpet.files.restored import RestoredSlices

Scope = Literal["slice", "subject", "data_set"]
ALL = "-"
"""In the columns subject, key and replicate: all of them."""

_LOGARITHMIC = ("half_width_percent", "conformal_scale", "promised_scale", "ause", "relative_ause")
"""Scales and ratios: means of them are geometric, intervals those of the logarithm."""
_BOUNDS: Mapping[str, Interval] = {
    **dict.fromkeys(("coverage", "conformal_coverage", "promised_coverage"), (0.0, 1.0)),
    "rank_correlation": (-1.0, 1.0),
    **dict.fromkeys(("remaining_error", "oracle_error"), (0.0, np.inf)),
}
"""What the others can be: their intervals end there."""


@dataclass(frozen=True, kw_only=True)
class UncertaintyRow(Row):
    """One number; the fields are the columns of ``uncertainty.csv``, None an empty cell.

    ``quantity``, over the pixels inside the heads of a ``scope``:

    - ``spread_to_error``: see :func:`quietpet.evaluation.spread.spread_to_error`;
    - ``coverage``: part of the pixels whose standard dose is in the predictive interval ``at`` a level;
      ``half_width_percent``: half of that interval, in % of the mean standard dose;
    - ``conformal_scale``: what intervals ``at`` a level must be multiplied by, found on the pixels of
      the other subjects; ``conformal_coverage``: what they then hold of this one. ``promised_scale``
      and ``promised_coverage``: the same, with slice positions in place of pixels;
    - ``rank_correlation`` of spread and error; ``ause``, ``relative_ause``, and the curves
      ``remaining_error`` and ``oracle_error`` ``at`` a removed part: see
      :class:`quietpet.evaluation.sparsification.Sparsification`; of a subject, means over its slices.

    A ``data_set`` is the mean over subjects, each the mean over trainings, with its t interval, cut
    where the quantity ends; of factors, half widths and AUSE the geometric mean with the t interval of
    the logarithm, which there is not where one is 0. ``spread_to_error`` is that of all pixels, as in
    the tables. ``note`` says why a value is missing.
    """

    dataset: str
    setting: str
    method: str
    learning: str
    replicate: str
    samples: int
    scope: Scope
    subject: str
    key: str
    quantity: str
    at: float | None
    value: float | None
    ci_low: float | None = None
    ci_high: float | None = None
    n_subjects: int = 1
    n_replicates: int = 1
    note: str = ""
    data_source: str
    projector: str
    registration: str

    @property
    def measured(self) -> tuple[str, float | None]:
        """What it is of: quantity and level."""
        return self.quantity, self.at

    @property
    def run(self) -> tuple[str, ...]:
        """What was restored, by which method: everything but the training."""
        return self.dataset, self.setting, self.method, self.learning


UNCERTAINTY_COLUMNS = columns_of(UncertaintyRow)

Value = tuple[str, float | None, float | None, str]
"""Quantity, level, value and note."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Pixels:
    """Mean and standard deviation of so many samples beside the standard dose; arrays (pixel,)."""

    mean: np.ndarray
    deviation: np.ndarray
    standard: np.ndarray
    samples: int

    @cached_property
    def errors(self) -> np.ndarray:
        """See :func:`quietpet.evaluation.calibration.standardised_errors`."""
        return standardised_errors(self.mean, self.deviation, self.standard, samples=self.samples)

    @cached_property
    def sparsified(self) -> Sparsification | None:
        """Curves of the pixels that are left."""
        return sparsification(self.deviation, self.mean - self.standard)

    @cached_property
    def rank_correlation(self) -> float | None:
        """Of spread and error."""
        return rank_correlation(self.deviation, self.mean - self.standard)

    @classmethod
    def pooled(cls, parts: Sequence[Pixels]) -> Pixels:
        """All pixels of ``parts``, which have as many samples."""
        arrays = {
            name: np.concatenate([getattr(part, name) for part in parts])
            for name in ("mean", "deviation", "standard")
        }
        return cls(**arrays, samples=parts[0].samples)


def uncertainty_of(
    restored: RestoredSlices, reference: ReferenceSlices, *, levels: Sequence[float]
) -> Iterator[UncertaintyRow]:
    """Rows of every slice and subject of one restoration, and the spread to error of all.

    Raises:
        InputError: a single sample of each slice, other slices than those of ``reference``, or values
            that are not finite.
    """
    slices = _slices(restored, reference)
    names: dict[str, Any] = {**names_of(restored), "samples": restored.samples}
    by_subject: dict[str, list[int]] = {}
    for row, subject in enumerate(reference.subject):
        by_subject.setdefault(subject, []).append(row)
        place = {"scope": "slice", "subject": subject, "key": reference.key[row]}
        yield from _rows({**names, **place}, _of_slice(slices[row], levels))
    units = {subject: _positions(reference, slices, members) for subject, members in by_subject.items()}
    for subject, members in by_subject.items():
        others = [unit for other, each in units.items() if other != subject for unit in each]
        place = {"scope": "subject", "subject": subject, "key": ALL}
        values = _of_subject([slices[row] for row in members], others, levels)
        yield from _rows({**names, **place}, values)
    whole = {**names, "scope": "data_set", "subject": ALL, "key": ALL, "n_subjects": len(by_subject)}
    yield from _rows(whole, [_spread(Pixels.pooled(slices))])


def summarised(rows: Sequence[UncertaintyRow], *, confidence: float) -> Iterator[UncertaintyRow]:
    """Rows of whole data sets, from those of all their subjects and trainings, in their order.

    Raises:
        InputError: trainings of one method were measured on different subjects.
    """
    of: dict[tuple[str, ...], dict[tuple[str, float | None], list[UncertaintyRow]]] = {}
    for row in rows:
        if row.scope == "data_set" or (row.scope == "subject" and row.quantity != "spread_to_error"):
            of.setdefault(row.run, {}).setdefault(row.measured, []).append(row)
    for by_quantity in of.values():
        for members in by_quantity.values():
            whole = members[0].scope == "data_set"
            yield _over_trainings(members) if whole else _over_subjects(members, confidence)


def _over_trainings(members: Sequence[UncertaintyRow]) -> UncertaintyRow:
    """The spread to error of all pixels, mean over trainings."""
    value = _mean([row.value for row in members])
    return _whole(
        members[0],
        value=value,
        n_subjects=members[0].n_subjects,
        n_replicates=len(members),
        note=LITTLE_SPREAD if spreads_little(value) else members[0].note,
    )


def _over_subjects(members: Sequence[UncertaintyRow], confidence: float) -> UncertaintyRow:
    by_subject: dict[str, list[float | None]] = {}
    for row in members:
        by_subject.setdefault(row.subject, []).append(row.value)
    trainings = {row.replicate for row in members}
    if any(len(values) != len(trainings) for values in by_subject.values()):
        raise InputError(
            f"{'/'.join(members[0].run)}: its trainings restored different subjects. Restore them again."
        )
    means = [_mean(values) for values in by_subject.values()]
    known = [mean for mean in means if mean is not None]
    value, low, high = None, None, None
    if len(known) == len(means):
        value, interval = mean_over_subjects(members[0].quantity, known, confidence=confidence)
        low, high = ends(interval)
    return _whole(
        members[0],
        value=value,
        ci_low=low,
        ci_high=high,
        n_subjects=len(means),
        n_replicates=len(trainings),
        note="" if value is not None else next(row.note for row in members if row.note),
    )


def mean_over_subjects(
    quantity: str, values: Sequence[float], *, confidence: float
) -> tuple[float, Interval | None]:
    """Mean of one value per subject, and its interval, of values that ``quantity`` can have."""
    if quantity not in _LOGARITHMIC:
        least, most = _BOUNDS[quantity]
        interval = t_interval(np.array(values), confidence=confidence)
        cut = interval and (max(interval[0], least), min(interval[1], most))
        return float(np.mean(values)), cut
    if min(values) <= 0:
        return 0.0, None
    logarithms = np.log(values)
    interval = t_interval(logarithms, confidence=confidence)
    ratios = interval and (float(np.exp(interval[0])), float(np.exp(interval[1])))
    return float(np.exp(logarithms.mean())), ratios


def _whole(first: UncertaintyRow, **values: Any) -> UncertaintyRow:
    """A row of a whole data set, by all trainings."""
    names = {field.name: getattr(first, field.name) for field in fields(first)}
    place = {"scope": "data_set", "subject": ALL, "key": ALL, "replicate": ALL}
    return UncertaintyRow(**{**names, **place, "note": "", **values})


def _mean(values: Sequence[float | None]) -> float | None:
    """Mean of all; None where one is missing, for it may be missing because it is large."""
    known = [value for value in values if value is not None]
    return float(np.mean(known)) if known and len(known) == len(values) else None


def _slices(restored: RestoredSlices, reference: ReferenceSlices) -> list[Pixels]:
    """The pixels inside the head of every slice."""
    mean, deviation = restored.mean, restored.standard_deviation
    if mean is None or deviation is None or restored.samples < 2:
        raise InputError(
            f"{restored.origin}: holds one sample of each slice, of which no spread is known. Leave it "
            "out, or draw two: samples_per_slice of the method."
        )
    estimates_of(restored, reference)
    require_images(deviation, restored.key, what=f"{restored.origin}:standard_deviation")
    return [
        Pixels(
            mean=mean[row][head],
            deviation=deviation[row][head],
            standard=reference.standard[row][head],
            samples=restored.samples,
        )
        for row, head in enumerate(reference.head > 0)
    ]


def _positions(
    reference: ReferenceSlices, slices: Sequence[Pixels], members: Sequence[int]
) -> list[np.ndarray]:
    """Standardised errors of each position along the axis, all rotations of one slice together."""
    by_position: dict[float, list[np.ndarray]] = {}
    for row in members:
        position = float(reference.slice_mm[row])
        by_position.setdefault(position, []).append(slices[row].errors)
    return [np.concatenate(errors) for errors in by_position.values()]


def _rows(
    names: Mapping[str, Any], values: Iterator[Value] | Sequence[Value]
) -> Iterator[UncertaintyRow]:
    for quantity, at, value, note in values:
        yield UncertaintyRow(**names, quantity=quantity, at=at, value=value, note=note)


def _of_slice(pixels: Pixels, levels: Sequence[float]) -> Iterator[Value]:
    yield _spread(pixels)
    for level in levels:
        yield "coverage", level, coverage(pixels.errors, level, samples=pixels.samples), ""
    yield from _orders(pixels)


def _of_subject(
    slices: Sequence[Pixels], others: Sequence[np.ndarray], levels: Sequence[float]
) -> Iterator[Value]:
    pixels = Pixels.pooled(slices)
    yield _spread(pixels)
    relative = 100.0 * np.sqrt(1.0 + 1.0 / pixels.samples) * pixels.deviation.mean(dtype=np.float64)
    for level in levels:
        yield "coverage", level, coverage(pixels.errors, level, samples=pixels.samples), ""
        half = predictive_quantile(level, samples=pixels.samples) * relative
        yield "half_width_percent", level, float(half / pixels.standard.mean(dtype=np.float64)), ""
    yield from _conformal(pixels, others, levels)
    for orders in zip(*(_orders(each) for each in slices), strict=True):
        quantity, at, *_ = orders[0]
        value = _mean([value for _, _, value, _ in orders])
        yield quantity, at, value, next((note for *_, note in orders if note), "")
    yield from _curves(slices)


def _spread(pixels: Pixels) -> Value:
    ratio = spread_to_error(pixels.mean, pixels.deviation, pixels.standard, samples=pixels.samples)
    return "spread_to_error", None, ratio, "" if ratio is not None else "no error is left"


def _conformal(pixels: Pixels, others: Sequence[np.ndarray], levels: Sequence[float]) -> Iterator[Value]:
    """Factors from ``others``, the errors of each position of the other subjects, and what they hold."""
    pooled = np.concatenate(others) if others else np.empty(0)
    of_pixels = [conformal_scale(pooled, level, samples=pixels.samples) for level in levels]
    of_positions = promised_scales(others, levels, samples=pixels.samples)
    for kind, scales in (("conformal", of_pixels), ("promised", of_positions)):
        for level, scale in zip(levels, scales, strict=True):
            held, note = None, ""
            if scale is not None:
                held = coverage(pixels.errors, level, samples=pixels.samples, scale=scale)
            elif not others:
                note = "no other test subject to find it on"
            elif kind == "promised" and len(others) < (needed := units_needed(level)):
                note = f"{len(others)} slice positions of other test subjects, {needed} are needed"
            else:
                note = "samples do not differ where they err"
            yield f"{kind}_scale", level, scale, note
            yield f"{kind}_coverage", level, held, note


def _orders(pixels: Pixels) -> Iterator[Value]:
    """Rank correlation, and areas under the sparsification error."""
    correlation = pixels.rank_correlation
    yield "rank_correlation", None, correlation, "" if correlation is not None else "no spread"
    found = pixels.sparsified
    areas = {
        "ause": found.ause if found else None,
        "relative_ause": found.relative_ause if found else None,
    }
    for quantity, area in areas.items():
        yield quantity, None, area, "" if area is not None else "no error is left"


def _curves(slices: Sequence[Pixels]) -> Iterator[Value]:
    """Means over slices of both curves; nothing where a slice has none."""
    curves = [each.sparsified for each in slices]
    found = [curve for curve in curves if curve is not None]
    if len(found) < len(curves):
        return
    of_curves: dict[str, Callable[[Sparsification], np.ndarray]] = {
        "remaining_error": lambda curve: curve.by_spread,
        "oracle_error": lambda curve: curve.oracle,
    }
    for quantity, values_of in of_curves.items():
        means = np.mean([values_of(curve) for curve in found], axis=0)
        for removed, value in zip(REMOVED, means, strict=True):
            yield quantity, round(float(removed), 6), float(value), ""
