"""Image quality, and the untreated dose that methods equal, against dose."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from quietpet.evaluation.dose_response import HEADLINES, OWN_DOSE, DosePlan, DoseRow
from quietpet.evaluation.metrics import METRICS
from quietpet.evaluation.untreated_dose import EQUIVALENT, EquivalentRow

# Colours of Okabe and Ito (https://jfly.uni-koeln.de/color), which people with any colour vision tell
# apart, and shapes and lines for prints in grey.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")
MARKERS = ("s", "^", "D", "v", "P", "X")
LINES = ("-", "--", ":", "-.")
UNTREATED = {"color": "black", "marker": "o", "linestyle": "-", "linewidth": 1.8}
_PANEL_INCH = (2.6, 2.4)
_LEGEND_INCH = 0.9

Row = TypeVar("Row", DoseRow, EquivalentRow)


def draw_dose_response(rows: Sequence[DoseRow], *, plan: DosePlan) -> Figure:
    """Data sets down, headline metrics across; single samples, learned at the dose itself."""
    shown = [row for row in rows if row.trained_on == OWN_DOSE and row.estimate == "single"]

    def panel(axis: Axes, members: Sequence[DoseRow], style: dict[str, object], name: str) -> None:
        points = sorted(members, key=lambda row: row.fraction)
        doses = [100 * row.fraction for row in points]
        axis.plot(doses, [row.mean for row in points], markersize=4, label=name, **style)
        for row in points:
            if row.ci_low is not None and row.ci_high is not None:
                axis.vlines(
                    100 * row.fraction, row.ci_low, row.ci_high, color=style["color"], linewidth=0.8
                )

    figure = _grid(shown, plan, panel)
    for axis in figure.axes:
        axis.set_xlabel("dose [% of the standard dose]", fontsize=8)
    return figure


def draw_dose_equivalent(rows: Sequence[EquivalentRow], *, plan: DosePlan) -> Figure:
    """Data sets down, metrics across; single samples of methods whose equivalent was measured."""
    shown = [row for row in rows if row.question == EQUIVALENT and row.estimate == "single"]

    def panel(axis: Axes, members: Sequence[EquivalentRow], style: dict[str, object], name: str) -> None:
        known = [row for row in members if row.value is not None and row.fraction is not None]
        points = sorted((100 * (row.fraction or 0), 100 * (row.value or 0)) for row in known)
        if points:
            axis.plot(*zip(*points, strict=True), markersize=4, label=name, **style)
        for row in known:
            if row.ci_low is not None and row.ci_high is not None and row.fraction is not None:
                ends = (100 * row.ci_low, 100 * row.ci_high)
                axis.vlines(100 * row.fraction, *ends, color=style["color"], linewidth=0.8)

    figure = _grid(shown, plan, panel)
    fractions = [100 * amount.fraction for amount in plan.amounts]
    ends = np.array([min(fractions), max(fractions)])
    for axis in figure.axes:
        for factor in (1.0, *plan.factors):
            axis.plot(ends, factor * ends, ":", color="grey", linewidth=1)
            axis.annotate(f"x{factor:g}", (ends[0], factor * ends[0]), fontsize=7, color="grey")
        axis.set_yscale("log")
        axis.set_xlabel("dose [% of the standard dose]", fontsize=8)
    return figure


def _grid(
    rows: Sequence[Row],
    plan: DosePlan,
    panel: Callable[[Axes, Sequence[Row], dict[str, object], str], None],
) -> Figure:
    datasets = [name for name in plan.datasets if any(row.dataset == name for row in rows)]
    metrics = [name for name in HEADLINES if any(row.metric == name for row in rows)]
    width, height = _PANEL_INCH
    size = (width * len(metrics) + 0.6, height * len(datasets) + _LEGEND_INCH)
    figure = Figure(figsize=size, layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots(len(datasets), len(metrics), squeeze=False)
    styles = _styles(rows, plan)
    for line, dataset in zip(axes, datasets, strict=True):
        line[0].set_title(dataset, loc="left", fontsize=9)
        for axis, metric in zip(line, metrics, strict=True):
            for name, style in styles.items():
                members = [
                    row
                    for row in rows
                    if (row.dataset, row.metric, _name(row)) == (dataset, metric, name)
                ]
                panel(axis, members, style, name)
            axis.set_xscale("log")
            axis.set_ylabel(next(each.label for each in METRICS if each.name == metric), fontsize=8)
            axis.tick_params(labelsize=8, which="both")
            axis.grid(alpha=0.3)
    known: dict[str, Artist] = {}
    for axis in axes.flat:
        handles, labels = axis.get_legend_handles_labels()
        known = {**dict(zip(labels, handles, strict=True)), **known}
    order = [name for name in styles if name in known]
    figure.legend(
        [known[name] for name in order], order, loc="outside lower center", ncols=5, fontsize=8
    )
    return figure


def _styles(rows: Sequence[Row], plan: DosePlan) -> dict[str, dict[str, object]]:
    """Colour by method, lines for turns of the colours, markers for how it learned."""
    methods = [name for name in plan.methods if name not in plan.low_dose[:1]]
    ways = list(dict.fromkeys(row.learning for row in rows))
    styles: dict[str, dict[str, object]] = {}
    for row in rows:
        if row.method in plan.low_dose[:1]:
            styles[_name(row)] = UNTREATED
            continue
        number = methods.index(row.method)
        styles[_name(row)] = {
            "color": COLOURS[number % len(COLOURS)],
            "linestyle": LINES[number // len(COLOURS) % len(LINES)],
            "marker": MARKERS[ways.index(row.learning) % len(MARKERS)],
            "linewidth": 1.0,
        }
    return styles


def _name(row: Row) -> str:
    """Method, and how it learned where that is said."""
    return row.method if row.learning in ("-", "external") else f"{row.method}, {row.learning}"
