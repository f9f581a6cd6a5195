"""What the report shows of the uncertainty of methods that sample."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import groupby
from typing import Any

from quietpet.evaluation.calibration import units_needed
from quietpet.evaluation.spread import LITTLE_SPREAD, LITTLE_SPREAD_BELOW
from quietpet.evaluation.uncertainty import UncertaintyRow
from quietpet.files.sections import Cell, Column, Section, ShownFigure, Table

FIGURE = "uncertainty.svg"
TITLE = "Uncertainty of methods that sample"

_RUN = (
    Column(key="method", label="method"),
    Column(key="learning", label="learning"),
    Column(key="place", label="data set"),
    Column(key="samples", label="samples"),
)
_INTERVALS = "Predictive intervals: what they say, and what they hold"
_ORDER = "Spread of samples against their error"


def uncertainty_section(rows: Sequence[UncertaintyRow], *, levels: Sequence[float]) -> Section:
    """From rows of whole data sets (:func:`quietpet.evaluation.uncertainty.summarised`)."""
    runs = [
        {row.measured: row for row in members} for _, members in groupby(rows, key=lambda row: row.run)
    ]
    return Section(
        id="uncertainty",
        title=TITLE,
        part="Uncertainty",
        summary=" ".join(_summary(runs, levels)),
        notes=_notes(rows, levels),
        tables=(_spread_table(runs), *(_interval_table(runs, level) for level in levels)),
        figures=(
            ShownFigure(
                file=FIGURE,
                alt="For each data set and setting: the part of pixels inside predictive intervals "
                "against the part that the intervals name, and the error that is left against the part "
                "of the most uncertain pixels that is removed, one line per method that samples.",
                caption="Calibration and sparsification. Left: coverage of predictive intervals; on the "
                "dotted diagonal they hold what they say, and circles are the same intervals times the "
                "conformal factor. Right: error of the pixels that are left, relative to that of all, "
                "when the most uncertain are removed; dashed: the oracle, which removes those that err "
                "most; dotted: removal at random.",
            ),
        ),
    )


def _summary(runs: Sequence[dict[Any, UncertaintyRow]], levels: Sequence[float]) -> list[str]:
    spreads = [run["spread_to_error", None] for run in runs]
    little = [row for row in spreads if row.note == LITTLE_SPREAD]
    names = _listed((row.method, f"{row.dataset}/{row.setting}") for row in little)
    said = [
        f"Of {len(runs)} restorations by methods that sample, {len(little)} have samples that spread by "
        f"less than {LITTLE_SPREAD_BELOW:g} of their error"
        f"{f' ({LITTLE_SPREAD}): {names}' if little else ''}."
    ]
    level = max(levels)
    held = [row.value for run in runs if (row := run["coverage", level]).value is not None]
    said.append(
        f"Predictive intervals of {_percent(level)} hold {_percent(min(held))} to {_percent(max(held))} "
        "of the pixels."
    )
    return said


def _notes(rows: Sequence[UncertaintyRow], levels: Sequence[float]) -> tuple[str, ...]:
    missing = [
        (row.note, f"{row.dataset}/{row.setting}")
        for row in rows
        if row.quantity in ("conformal_scale", "promised_scale") and row.note
    ]
    found = [
        "Pixels inside the heads of test slices, against the standard dose. Values are means over "
        "subjects with t intervals, each subject the mean over trainings; intervals of shares end at 0 "
        "and 100 %, those of correlations at -1 and 1. Means of factors, half widths and AUSE are "
        "geometric, with t intervals of the logarithm. Spread/error is that of all pixels, as in the "
        "other tables.",
        "Intervals are Student's: of K samples with mean m and standard deviation s, a further draw y "
        "has (y - m) / (s sqrt(1 + 1/K)) of K - 1 degrees of freedom if the posterior is Gaussian. With "
        "two samples, as short studies draw, that of 90 % reaches 7.7 s to either side: it may hold "
        "enough and still say little, so look at its half width.",
        "Such factors are usually found on validation data. These deviate: they are found on the "
        "other test subjects, one left out at a time, because validation slices are not restored, and "
        "learning rates were chosen on them. The conformal factor is that of all their pixels, by "
        "split conformal prediction, which would hold the level of a new subject if pixels were "
        "exchangeable between subjects; what it does hold stands beside it. The factor by positions "
        "takes slice positions, with all their rotations, as exchangeable in place of pixels "
        "(conformal risk control). It holds the level, on average, of a new position of the same "
        "subjects; of another subject, on which it is tried here, it may hold less, the more so the "
        "fewer the subjects and the more they differ. "
        f"It needs level / (1 - level) positions ({_needed(levels)}), and few of them make it wide.",
        f"Where samples spread by less than {LITTLE_SPREAD_BELOW:g} of their error, their variance is "
        f"less than a tenth of the squared error: {LITTLE_SPREAD}. The ratio does not tell one from the "
        "other. True samples of the posterior have 1.",
        "AUSE: area between the error that is left when the most uncertain pixels are removed and that "
        "of the oracle, relative to that of removal at random: 0 is the oracle, 1 no knowledge. With "
        "few samples the spread of a pixel is itself uncertain, which costs even a true sampler rank "
        "correlation and AUSE.",
    ]
    if missing:
        found.append(f"Factors are missing: {_listed(missing)}.")
    return tuple(found)


def _needed(levels: Sequence[float]) -> str:
    return ", ".join(f"{units_needed(level)} for {_percent(level)}" for level in levels)


def _spread_table(runs: Sequence[dict[Any, UncertaintyRow]]) -> Table:
    columns = (
        *_RUN,
        Column(key="spread", label="spread / error", digits=2, mark="verdict"),
        _with_interval("rank", "rank correlation of spread and error", digits=2),
        _with_interval("ause", "AUSE / that of removal at random", digits=2),
    )
    rows = []
    for run in runs:
        spread = run["spread_to_error", None]
        rows.append(
            {
                **_named(spread),
                "spread": spread.value,
                "verdict": spread.note or None,
                **_value("rank", run["rank_correlation", None]),
                **_value("ause", run["relative_ause", None]),
            }
        )
    return Table(caption=_ORDER, columns=columns, rows=tuple(rows))


def _interval_table(runs: Sequence[dict[Any, UncertaintyRow]], level: float) -> Table:
    columns = (
        *_RUN,
        _with_interval("held", "coverage", unit="%", digits=1),
        _with_interval("half", "half width", unit="% of the mean", digits=0),
        _with_interval("scale", "conformal factor", digits=2),
        _with_interval("after", "coverage with it", unit="%", digits=1),
        _with_interval("promise", "factor by positions", digits=2),
        _with_interval("kept", "coverage with that", unit="%", digits=1),
    )
    rows = [
        {
            **_named(run["coverage", level]),
            **_value("held", run["coverage", level], factor=100.0),
            **_value("half", run["half_width_percent", level]),
            **_value("scale", run["conformal_scale", level]),
            **_value("after", run["conformal_coverage", level], factor=100.0),
            **_value("promise", run["promised_scale", level]),
            **_value("kept", run["promised_coverage", level], factor=100.0),
        }
        for run in runs
    ]
    return Table(
        caption=_INTERVALS, variant=f"level {_percent(level)}", columns=columns, rows=tuple(rows)
    )


def _named(row: UncertaintyRow) -> dict[str, Cell]:
    return {
        "method": row.method,
        "learning": row.learning,
        "place": f"{row.dataset}/{row.setting}",
        "samples": row.samples,
    }


def _with_interval(key: str, label: str, *, digits: int, unit: str = "") -> Column:
    return Column(key=key, label=label, unit=unit, digits=digits, low=f"{key}_low", high=f"{key}_high")


def _value(key: str, row: UncertaintyRow, *, factor: float = 1.0) -> dict[str, Cell]:
    """A value and its interval, as :func:`_with_interval` shows them."""
    cells = {key: row.value, f"{key}_low": row.ci_low, f"{key}_high": row.ci_high}
    return {name: None if value is None else factor * value for name, value in cells.items()}


def _listed(pairs: Iterable[tuple[str, str]]) -> str:
    """Each name once, with all that belongs to it: a (1, 2); b (3)."""
    of: dict[str, dict[str, None]] = {}
    for name, one in pairs:
        of.setdefault(name, {})[one] = None
    return "; ".join(f"{name} ({', '.join(each)})" for name, each in of.items())


def _percent(part: float) -> str:
    return f"{100.0 * part:.3g} %"
