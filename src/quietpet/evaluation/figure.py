"""PSNR and NMSE of every method, in both variants, beside the published values."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import groupby

from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from quietpet.data_source import is_standin
from quietpet.evaluation.comparison import PAPER, QUANTITATIVE
from quietpet.evaluation.tables import TableRow

PANELS = (("psnr_db", "PSNR [dB]"), ("nmse", "NMSE"))
COLOURS = ("tab:blue", "tab:orange")
ROW_HEIGHT_INCH = 0.32
PANEL_MARGIN_INCH = 1.0


def draw(rows: Sequence[TableRow]) -> Figure:
    """One row of panels per table and setting; the estimate ``single`` only."""
    single = [row for row in rows if row.estimate == "single"]
    groups = [
        (name, list(members))
        for name, members in groupby(single, key=lambda row: (row.table, row.dataset, row.setting))
    ]
    heights = [
        PANEL_MARGIN_INCH + ROW_HEIGHT_INCH * len({*_names(members).values()}) for _, members in groups
    ]
    figure = Figure(figsize=(9.0, sum(heights)), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots(len(groups), len(PANELS), squeeze=False, height_ratios=heights)
    for panels, ((table, dataset, setting), members) in zip(axes, groups, strict=True):
        simulated = " (simulated scans)" if is_standin(members[0].data_source) else ""
        title = f"Table {table}: {dataset}, {setting}{simulated}"
        panels[0].set_title(title, loc="left", fontsize=9)
        for axis, (metric, label) in zip(panels, PANELS, strict=True):
            of_metric = [row for row in members if row.metric == metric]
            _panel(axis, of_metric, names=_names(members), label=label)
    known: dict[str, Artist] = {}
    for axis in axes.flat:
        handles, labels = axis.get_legend_handles_labels()
        known = {**dict(zip(labels, handles, strict=True)), **known}
    handles, labels = list(known.values()), list(known)
    figure.legend(handles, labels, loc="outside lower center", ncols=4, fontsize=8)
    return figure


def _panel(
    axis: Axes, rows: Sequence[TableRow], *, names: Mapping[tuple[str, str], str], label: str
) -> None:
    """Methods from top to bottom; bars are the intervals over subjects, crosses the published means.

    Published means that another published statement contradicts have a mark of their own.
    """
    methods = list(dict.fromkeys(names.values()))
    for variant, colour, offset in zip((PAPER, QUANTITATIVE), COLOURS, (-0.12, 0.12), strict=True):
        for row in (row for row in rows if row.variant == variant.name):
            height = methods.index(names[row.method, row.learning]) + offset
            axis.plot(row.mean, height, "o", color=colour, markersize=4, label=_once(axis, variant.name))
            if row.ci_low is not None and row.ci_high is not None:
                axis.hlines(height, row.ci_low, row.ci_high, color=colour, linewidth=1.5)
            if row.paper_mean is not None:
                name, marker = ("published, doubted", "k1") if row.paper_doubt else ("published", "kx")
                axis.plot(row.paper_mean, height, marker, markersize=6, label=_once(axis, name))
    axis.set_yticks(range(len(methods)), methods, fontsize=8)
    axis.set_ylim(len(methods) - 0.5, -0.5)
    axis.set_xlabel(label, fontsize=8)
    axis.tick_params(axis="x", labelsize=8)
    axis.grid(axis="x", alpha=0.3)


def _names(rows: Sequence[TableRow]) -> dict[tuple[str, str], str]:
    """Label of each (method, learning): the method, and where one learned in several ways, how."""
    ways = dict.fromkeys((row.method, row.learning) for row in rows)
    several = len(ways) > len({method for method, _ in ways})
    return {way: ", ".join(way) if several else way[0] for way in ways}


def _once(axis: Axes, label: str) -> str:
    """``label`` the first time, a label that the legend ignores afterwards."""
    return f"_{label}" if label in axis.get_legend_handles_labels()[1] else label
