"""Image quality against dose, and below it the untreated dose that each method equals."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, TypeVar

import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from quietpet.evaluation.dose_response import (
    HEADLINES,
    OWN_DOSE,
    DosePlan,
    DoseRow,
    Headline,
    label_of,
)
from quietpet.evaluation.drawing import BLACK, CURVES, GREY, SMALL, new_figure
from quietpet.evaluation.untreated_dose import EQUIVALENT, EquivalentRow, reference_way

_LINES = ("-", "--", ":", "-.")
"""Of methods, where the colours begin again."""
_MARKERS = ("s", "^", "D", "v", "P", "X")
"""Of how they learned."""
_WIDTH_INCH, _HEIGHT_INCH = 2.5, 2.4
_LEGEND_INCH = 1.0
_MARGIN = 1.15
"""Of the axes beyond the doses measured, a factor."""

Place = tuple[str, Headline]
"""Data set and metric."""

Row = TypeVar("Row", DoseRow, EquivalentRow)


class Style(NamedTuple):
    """How the line of a method looks."""

    color: str
    linestyle: str
    marker: str
    linewidth: float


_UNTREATED = Style(BLACK, "-", "o", 1.8)


def draw_doses(
    rows: Sequence[DoseRow], equivalents: Sequence[EquivalentRow], *, plan: DosePlan
) -> Figure:
    """For each data set a line of panels, one per metric, and one of equivalents where it has some.

    Single samples, learned at the dose itself.
    """
    shown = [row for row in rows if row.trained_on == OWN_DOSE and row.estimate == "single"]
    equal = [row for row in equivalents if row.question == EQUIVALENT and row.estimate == "single"]
    metrics = [name for name in HEADLINES if any(row.headline == name for row in shown)]
    with_equivalents = {row.dataset for row in equal}
    lines = [
        (name, equivalent)
        for name in plan.datasets
        for equivalent in (False, True)
        if name in with_equivalents or not equivalent
    ]
    size = (_WIDTH_INCH * len(metrics), _HEIGHT_INCH * len(lines) + _LEGEND_INCH)
    figure = new_figure(*size)
    axes = figure.subplots(len(lines), len(metrics), squeeze=False)
    styles = _styles(shown, plan)
    for (dataset, equivalent), panels in zip(lines, axes, strict=True):
        title = f"{dataset}: untreated dose that is as good" if equivalent else dataset
        panels[0].set_title(title, loc="left", fontsize=SMALL)
        for axis, metric in zip(panels, metrics, strict=True):
            place = dataset, metric
            if equivalent:
                _equivalents(axis, _of(equal, place), styles, plan, place)
            else:
                _response(axis, _of(shown, place), styles, plan, place)
    _legend(figure, axes, list(styles))
    return figure


def _response(
    axis: Axes,
    rows: Sequence[DoseRow],
    styles: dict[str, Style],
    plan: DosePlan,
    place: Place,
) -> None:
    """A metric against dose."""
    dataset, metric = place
    for name, members in _by_name(rows).items():
        points = [(row.setting, row.fraction, row.mean) for row in members]
        _line(axis, points, styles[name], name, plan=plan, dataset=dataset)
        for row in members:
            _interval(axis, row.fraction, row.ci_low, row.ci_high, styles[name])
    axis.set_ylabel(label_of(metric), fontsize=SMALL)
    _finish(axis, plan, dataset)


def _equivalents(
    axis: Axes,
    rows: Sequence[EquivalentRow],
    styles: dict[str, Style],
    plan: DosePlan,
    place: Place,
) -> None:
    """The untreated dose against the method's own; an empty panel where there is none by a metric."""
    dataset, metric = place
    if not rows:
        axis.set_axis_off()
        return
    doses = _doses(plan, dataset)
    ends = np.array([doses[0], doses[-1]])
    for factor in (1.0, *plan.factors):
        axis.plot(ends, factor * ends, ":", color=GREY, linewidth=1)
        if ends[0] * factor < ends[1]:
            axis.annotate(f"x{factor:g}", (ends[0], factor * ends[0]), fontsize=SMALL - 1, color=GREY)
    for name, members in _by_name(rows).items():
        points = [
            (row.setting, row.fraction, 100 * row.value)
            for row in members
            if row.fraction is not None and row.value is not None
        ]
        _line(axis, points, styles[name], name, plan=plan, dataset=dataset)
        for row in members:
            if row.ci_low is not None and row.ci_high is not None:
                _interval(axis, row.fraction, 100 * row.ci_low, 100 * row.ci_high, styles[name])
    axis.set_yscale("log")
    axis.set_ylim(ends[0] / _MARGIN, ends[1] * _MARGIN)
    axis.set_yticks(doses, [f"{dose:.3g}" for dose in doses])
    axis.set_yticks([], minor=True)
    axis.set_ylabel(f"equal by {label_of(metric)} [%]", fontsize=SMALL)
    _finish(axis, plan, dataset)


def _line(
    axis: Axes,
    points: Sequence[tuple[str, float, float]],
    style: Style,
    name: str,
    *,
    plan: DosePlan,
    dataset: str,
) -> None:
    """Points (setting, fraction, value): a line through doses of the most common way, others alone."""
    way, amounts = reference_way(dataset, plan), plan.of(dataset)
    joined = sorted((100 * dose, value) for at, dose, value in points if amounts[at].way == way)
    alone = [(100 * dose, value) for at, dose, value in points if amounts[at].way != way]
    if joined:
        axis.plot(*zip(*joined, strict=True), markersize=4, label=name, **style._asdict())
    if alone:
        axis.plot(
            *zip(*alone, strict=True),
            linestyle="none",
            color=style.color,
            marker=style.marker,
            markerfacecolor="none",
            markersize=5,
        )


def _interval(
    axis: Axes, fraction: float | None, low: float | None, high: float | None, style: Style
) -> None:
    if fraction is not None and low is not None and high is not None:
        axis.vlines(100 * fraction, low, high, color=style.color, linewidth=0.8)


def _finish(axis: Axes, plan: DosePlan, dataset: str) -> None:
    doses = _doses(plan, dataset)
    axis.set_xscale("log")
    axis.set_xlim(doses[0] / _MARGIN, doses[-1] * _MARGIN)
    axis.set_xticks(doses, [f"{dose:.3g}" for dose in doses])
    axis.set_xticks([], minor=True)
    axis.set_xlabel("dose [% of the standard dose]", fontsize=SMALL)
    axis.tick_params(labelsize=SMALL, which="both")
    axis.grid(alpha=0.3)


def _doses(plan: DosePlan, dataset: str) -> list[float]:
    """The doses of a data set that readers tell apart, rising [% of the standard dose]."""
    found: dict[str, float] = {}
    for amount in plan.of(dataset).values():
        found.setdefault(f"{amount.fraction:.2g}", 100 * amount.fraction)
    return sorted(found.values())


def _legend(figure: Figure, axes: np.ndarray, names: Sequence[str]) -> None:
    known: dict[str, Artist] = {}
    for axis in axes.flat:
        handles, labels = axis.get_legend_handles_labels()
        known = {**dict(zip(labels, handles, strict=True)), **known}
    order = [name for name in names if name in known]
    artists = [known[name] for name in order]
    figure.legend(artists, order, loc="outside lower center", ncols=5, fontsize=SMALL)


def _styles(rows: Sequence[DoseRow], plan: DosePlan) -> dict[str, Style]:
    """Of every line: black for the low-dose image itself, the others by method and how they learned."""
    methods = [name for name in plan.methods if name not in plan.low_dose[:1]]
    ways = list(dict.fromkeys(row.learning for row in rows))
    styles: dict[str, Style] = {}
    for row in rows:
        if row.method in plan.low_dose[:1]:
            styles[_name(row)] = _UNTREATED
            continue
        turn, colour = divmod(methods.index(row.method), len(CURVES))
        marker = _MARKERS[ways.index(row.learning) % len(_MARKERS)]
        styles[_name(row)] = Style(CURVES[colour], _LINES[turn % len(_LINES)], marker, 1.0)
    return styles


def _of(rows: Sequence[Row], place: Place) -> list[Row]:
    """The rows of a data set and metric."""
    return [row for row in rows if (row.dataset, row.headline) == place]


def _by_name(rows: Sequence[Row]) -> dict[str, list[Row]]:
    found: dict[str, list[Row]] = {}
    for row in rows:
        found.setdefault(_name(row), []).append(row)
    return found


def _name(row: DoseRow | EquivalentRow) -> str:
    """Method, and how it learned where that is said."""
    return row.method if row.learning in ("-", "external") else f"{row.method}, {row.learning}"
