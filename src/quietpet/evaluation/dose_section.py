"""What the report shows of image quality against dose."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence

from quietpet.evaluation.comparison import QUANTITATIVE, TRUTH
from quietpet.evaluation.dose_equivalent import ABOVE, BELOW, NOT_MONOTONE
from quietpet.evaluation.dose_response import (
    HEADLINES,
    OWN_DOSE,
    DosePlan,
    DoseRow,
    Headline,
    label_of,
)
from quietpet.evaluation.metrics import METRICS
from quietpet.evaluation.untreated_dose import EQUIVALENT, EquivalentRow, reference_way
from quietpet.files.sections import Cell, Column, Section, ShownFigure, Table

FIGURE = "dose_response.svg"
_BY: Headline = ("psnr_db", QUANTITATIVE.name)
_TO_THE_TRUTH: Headline = ("psnr_db", TRUTH.name)
_PARTS = ("thinned", "window of a scan")
"""How ways begin whose doses are a part of the standard dose's events."""
_NO_GAIN = 1.0 + 1e-9
"""A factor of 1, and its rounding."""
_RUN = (
    Column(key="method", label="method"),
    Column(key="learning", label="learning"),
    Column(key="estimate", label="estimate"),
)
_TRAINED = (
    Column(key="method", label="method"),
    Column(key="learning", label="learning"),
    Column(key="trained_on", label="trained at"),
)
_DOSE = (
    Column(key="setting", label="dose"),
    Column(key="fraction", label="of the standard dose", unit="%", digits=2),
)


def dose_section(
    rows: Sequence[DoseRow], equivalents: Sequence[EquivalentRow], *, plan: DosePlan
) -> Section:
    """From the rows of both tables."""
    return Section(
        id="dose-response",
        title="Image quality against dose",
        part="Dose",
        summary=" ".join(
            sentence for name in plan.datasets for sentence in _summary(name, equivalents, plan)
        ),
        warnings=(*_one_subject(rows), *_warnings(plan)),
        notes=_NOTES,
        tables=tuple(_tables(rows, equivalents, plan)),
        figures=(_SHOWN,),
    )


_SHOWN = ShownFigure(
    file=FIGURE,
    alt="For each data set one panel per metric: the metric against the fraction of the standard dose "
    "on a logarithmic axis, one line per method with intervals over subjects; and below them the "
    "untreated dose that each method equals, with lines of the dose itself and multiples of it.",
    caption="Image quality against dose, single samples. Bars: t intervals over subjects. Black: the "
    "low-dose image itself. Lines join doses that are given alike; hollow: those given in another way. "
    "Below: the untreated dose that a method equals; dotted lines: the dose itself and multiples of "
    "it. Methods beyond the doses measured are not shown there.",
)

_NOTES = (
    "Metrics are `quantitative` (but for that to the truth, which shares no noise with any dose): both "
    "images in their common units, against the standard dose, which has noise of its own. Values are "
    "means over subjects with t intervals, each subject the mean over slices and trainings.",
    "Dose equivalent: the dose of an untreated scan (the low-dose image itself) whose metric is that "
    "of the method. The untreated metric is interpolated linearly in the logarithm of the dose, for "
    "each subject, between the doses that were measured; beyond them nothing is extrapolated, and a "
    "subject beyond them leaves the row without a mean. Means are geometric, intervals t intervals of "
    "the logarithm. Trainings are averaged before, so that intervals are of other subjects, not of "
    "other trainings; none is corrected for the number of methods and doses.",
    "A curve of an untreated metric that does not improve with every step of dose has no equivalent: "
    "the row says for how many subjects it is not monotone.",
)


def _summary(dataset: str, equivalents: Sequence[EquivalentRow], plan: DosePlan) -> Iterator[str]:
    amounts = plan.of(dataset)
    fractions = [amount.fraction for amount in amounts.values()]
    yield (
        f"{dataset} has {len(amounts)} doses, from {_percent(min(fractions))} to "
        f"{_percent(max(fractions))} of the standard dose."
    )
    by = _headline(dataset, equivalents, plan)
    asked = [
        row
        for row in equivalents
        if (row.dataset, row.headline, row.question, row.estimate) == (dataset, by, EQUIVALENT, "single")
        and amounts[row.setting].way == row.way
    ]
    if asked:
        to = " to the truth" if by == _TO_THE_TRUTH else ""
        shares = not to and _shares_noise(reference_way(dataset, plan))
        noise = " whose reference shares the noise of these doses," if shares else ""
        yield f"By PSNR{to},{noise} {_gain(asked)}"


def _headline(dataset: str, equivalents: Sequence[EquivalentRow], plan: DosePlan) -> Headline:
    """The metric of the summary: to the truth where doses share the standard dose's noise."""
    known = {row.headline for row in equivalents if row.dataset == dataset}
    shares = _shares_noise(reference_way(dataset, plan))
    return _TO_THE_TRUTH if shares and _TO_THE_TRUTH in known else _BY


def _shares_noise(way: str | None) -> bool:
    """Whether doses given in this way are a part of the standard dose's events."""
    return way is not None and way.startswith(_PARTS)


def _gain(asked: Sequence[EquivalentRow]) -> str:
    """What the equivalents of methods at doses say, and no more."""
    found = [row for row in asked if row.factor is not None]
    if not found:
        return (
            "no method has an equivalent dose within those measured in every subject "
            f"({_statuses(asked)})."
        )
    of = (
        f"of {len(asked)} pairs of method and dose {len(found)} have an equivalent dose within those "
        "measured in every subject"
    )
    gains = [row for row in found if (row.factor_ci_low or 0.0) > _NO_GAIN]
    if not gains:
        unknown = all(row.factor_ci_low is None for row in found)
        return f"{of}; no gain is shown by these, because " + (
            "one subject has no interval."
            if unknown
            else "no interval over subjects lies above 1 times the dose."
        )
    best = max(gains, key=lambda row: row.factor or 0.0)
    return (
        f"{of}, and {len(gains)} of them an interval over subjects above 1 times the dose. The largest "
        f"factor of those (not tested against the next) is that of {_called(best, asked)}: at "
        f"{_percent(best.fraction)} it equals an untreated scan of {_percent(best.value)} "
        f"[{_percent(best.ci_low)}, {_percent(best.ci_high)}], {best.factor:.2f} "
        f"[{best.factor_ci_low:.2f}, {best.factor_ci_high:.2f}] times the dose."
    )


def _statuses(rows: Sequence[EquivalentRow]) -> str:
    """Why there is no mean: in the words of the rows, or counted where these differ."""
    statuses = dict.fromkeys(row.status for row in rows)
    if len(statuses) == 1:
        return next(iter(statuses))
    counts = {
        "within": sum(row.within for row in rows),
        ABOVE: sum(row.above for row in rows),
        BELOW: sum(row.below for row in rows),
        NOT_MONOTONE: sum(row.not_monotone for row in rows),
    }
    said = ", ".join(f"{count} {status}" for status, count in counts.items() if count)
    return f"subjects of all {len(rows)} pairs of method and dose put together: {said}"


def _called(row: EquivalentRow, rows: Sequence[EquivalentRow]) -> str:
    """The method, and how it learned where it did so in several ways."""
    ways = {each.learning for each in rows if each.method == row.method}
    return row.method if len(ways) == 1 else f"{row.method} ({row.learning})"


def _one_subject(rows: Sequence[DoseRow]) -> Iterator[str]:
    """Data sets with one test subject."""
    for dataset in dict.fromkeys(row.dataset for row in rows if row.n_subjects == 1):
        yield f"{dataset} has one test subject, so that nothing is known of others: no intervals."


def _warnings(plan: DosePlan) -> Iterator[str]:
    for dataset in plan.datasets:
        way = reference_way(dataset, plan)
        amounts = [amount for amount in plan.of(dataset).values() if amount.way == way]
        if way is None:
            yield (
                f"No two doses of {dataset} are given in the same way, so that none is equivalent to "
                "another."
            )
        elif len(conditions := dict.fromkeys(amount.conditions for amount in amounts)) > 1:
            yield (
                f"Doses of {dataset} are not reconstructed alike ({'; '.join(conditions)}): what is "
                "shown against dose, and dose equivalents, are also about that."
            )
        others = [each for each in plan.of(dataset).values() if way and each.way != way]
        if others:
            yield (
                f"Dose equivalents of {dataset} are on the curve of doses that are given as {way}; "
                f"{', '.join(f'{each.setting} ({each.way})' for each in others)} differ in more than "
                "their dose, as the rows of the low-dose image itself show."
            )
        if _shares_noise(way):
            yield (
                f"Lower doses of {dataset} are a part of the standard dose's events and share its "
                "noise: with rising dose untreated scans come nearer to the standard dose than scans of "
                "their own would, which makes dose equivalents against it smaller. Those by the PSNR to "
                "the truth, where it is known, are free of that."
            )


def _tables(
    rows: Sequence[DoseRow], equivalents: Sequence[EquivalentRow], plan: DosePlan
) -> Iterator[Table]:
    for dataset in plan.datasets:
        of_dataset = [row for row in rows if row.dataset == dataset]
        yield _response_table(dataset, [row for row in of_dataset if row.trained_on == OWN_DOSE])
        asked = [row for row in equivalents if row.dataset == dataset]
        if equal := [row for row in asked if row.question == EQUIVALENT]:
            yield _equivalent_table(dataset, equal)
        if factors := [row for row in asked if row.question != EQUIVALENT]:
            yield _factor_table(dataset, factors)
        yield from _matrices(dataset, [row for row in of_dataset if row.trained_on != OWN_DOSE], plan)


def _response_table(dataset: str, rows: Sequence[DoseRow]) -> Table:
    metrics = [metric for metric in HEADLINES if any(row.headline == metric for row in rows)]
    columns = (*_RUN, *_DOSE, *(_metric_column(metric) for metric in metrics))
    cells: dict[tuple[str, ...], dict[str, Cell]] = {}
    for row in rows:
        key = row.method, row.learning, row.estimate, row.setting
        cells.setdefault(key, _named(row)).update(
            _interval(_key(row.headline), row.mean, row.ci_low, row.ci_high)
        )
    return Table(caption=f"{dataset}: metrics against dose", columns=columns, rows=tuple(cells.values()))


def _equivalent_table(dataset: str, rows: Sequence[EquivalentRow]) -> Table:
    """The equivalent dose by each metric [% of the standard dose], and how many times the dose."""
    metrics = list(dict.fromkeys(row.headline for row in rows))
    columns = [*_RUN, *_DOSE]
    for metric in metrics:
        key, label = _key(metric), label_of(metric)
        columns += [
            _with_interval(key, f"equals untreated, by {label}", unit="%"),
            _with_interval(f"{key}_factor", f"times the dose, by {label}"),
        ]
    cells: dict[tuple[str, ...], dict[str, Cell]] = {}
    for row in rows:
        key = _key(row.headline)
        shown = cells.setdefault((row.method, row.learning, row.estimate, row.setting), _named(row))
        shown |= _answer(key, row)
        shown |= _interval(f"{key}_factor", row.factor, row.factor_ci_low, row.factor_ci_high)
    return Table(
        caption=f"{dataset}: the untreated dose that a method equals",
        columns=tuple(columns),
        rows=tuple(cells.values()),
    )


def _factor_table(dataset: str, rows: Sequence[EquivalentRow]) -> Table:
    factors = list(dict.fromkeys(row.factor for row in rows))
    columns = (
        *_RUN,
        Column(key="metric", label="by"),
        *(
            _with_interval(f"x{factor:g}", f"equals {factor:g} times the dose at", unit="%")
            for factor in factors
        ),
    )
    cells: dict[tuple[object, ...], dict[str, Cell]] = {}
    for row in rows:
        names: dict[str, Cell] = {each.key: getattr(row, each.key) for each in _RUN}
        names["metric"] = label_of(row.headline)
        cells.setdefault(tuple(names.values()), names).update(_answer(f"x{row.factor:g}", row))
    return Table(
        caption=f"{dataset}: the dose at which a method equals an untreated scan of more",
        columns=columns,
        rows=tuple(cells.values()),
    )


def _matrices(dataset: str, rows: Sequence[DoseRow], plan: DosePlan) -> Iterator[Table]:
    """Trained at (down) and tested at (across), one variant per metric that has a better side."""
    single = [row for row in rows if row.estimate == "single"]
    settings = [setting for setting in plan.of(dataset) if any(row.setting == setting for row in single)]
    for metric in dict.fromkeys(row.headline for row in single if HEADLINES[row.headline]):
        yield Table(
            caption=f"{dataset}: trained at one dose, tested at all (first trainings; in brackets the "
            "difference to the training at the dose tested, with its interval)",
            variant=label_of(metric),
            columns=(*_TRAINED, *(_tested(setting, metric) for setting in settings)),
            rows=tuple(_matrix_rows([row for row in single if row.headline == metric])),
        )


def _tested(setting: str, metric: Headline) -> Column:
    label = f"tested at {setting}"
    return Column(key=setting, label=label, digits=_digits(metric), mark=f"{setting}_difference")


def _matrix_rows(rows: Sequence[DoseRow]) -> Iterable[dict[str, Cell]]:
    cells: dict[tuple[object, ...], dict[str, Cell]] = {}
    for row in rows:
        names: dict[str, Cell] = {each.key: getattr(row, each.key) for each in _TRAINED}
        shown = cells.setdefault(tuple(names.values()), names)
        shown |= {row.setting: row.mean, f"{row.setting}_difference": _change(row)}
    return cells.values()


def _change(row: DoseRow) -> str | None:
    if row.difference is None:
        return None
    digits = _digits(row.headline)
    if row.difference_ci_low is None or row.difference_ci_high is None:
        return f"({row.difference:+.{digits}f})"
    return (
        f"({row.difference:+.{digits}f} [{row.difference_ci_low:+.{digits}f}, "
        f"{row.difference_ci_high:+.{digits}f}])"
    )


def _named(row: DoseRow | EquivalentRow) -> dict[str, Cell]:
    return {
        "method": row.method,
        "learning": row.learning,
        "estimate": row.estimate,
        "setting": row.setting,
        "fraction": _times(row.fraction, 100.0),
    }


def _metric_column(metric: Headline) -> Column:
    key = _key(metric)
    digits = _digits(metric)
    return Column(key=key, label=label_of(metric), digits=digits, low=f"{key}_low", high=f"{key}_high")


def _with_interval(key: str, label: str, *, unit: str = "") -> Column:
    return Column(key=key, label=label, unit=unit, digits=2, low=f"{key}_low", high=f"{key}_high")


def _interval(key: str, value: Cell, low: float | None, high: float | None) -> dict[str, Cell]:
    """A value and its interval, as :func:`_with_interval` shows them; an infinite one as a word."""
    infinite = isinstance(value, float) and not math.isfinite(value)
    return {key: str(value) if infinite else value, f"{key}_low": low, f"{key}_high": high}


def _answer(key: str, row: EquivalentRow) -> dict[str, Cell]:
    """A dose [%] and its interval, or why there is none."""
    if row.value is None:
        return {key: row.status}
    return _interval(key, *(_times(each, 100.0) for each in (row.value, row.ci_low, row.ci_high)))


def _times(value: float | None, factor: float) -> float | None:
    return None if value is None else factor * value


def _digits(metric: Headline) -> int:
    return next(each.digits for each in METRICS if (each.name, each.variant.name) == metric)


def _key(metric: Headline) -> str:
    """The key of its cells."""
    return "_".join(metric)


def _percent(part: float | None) -> str:
    return "" if part is None else f"{100.0 * part:.3g} %"
