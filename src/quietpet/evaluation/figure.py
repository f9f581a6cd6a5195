"""One table as a figure: each method's mean with its interval, every test subject, published values."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby
from typing import Any

import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from quietpet.data_source import is_standin
from quietpet.evaluation.comparison import PAPER, QUANTITATIVE
from quietpet.evaluation.drawing import BLUE, GREY, NORMAL, SMALL, VERMILION, new_figure
from quietpet.evaluation.tables import TableRow

PANELS = (
    ("psnr_db", QUANTITATIVE, "PSNR [dB], quantitative"),
    ("nmse", QUANTITATIVE, "NMSE, quantitative"),
    ("psnr_db", PAPER, "PSNR [dB], paper"),
    ("nmse", PAPER, "NMSE, paper"),
)
WIDTH_INCH = 11.0
ROW_HEIGHT_INCH = 0.3
BETWEEN_INCH = 0.75
"""Between two rows of panels, for the label of one and the title of the next."""
LEFT_INCH, RIGHT_INCH, TOP_INCH, BOTTOM_INCH = 1.7, 0.15, 0.35, 0.9
_SPREAD = 0.3
"""Height over which the subjects of a method are spread, in rows."""


def draw_table(rows: Sequence[TableRow]) -> Figure:
    """A row of panels for each setting of one table; the estimate ``single`` only."""
    single = [row for row in rows if row.estimate == "single"]
    settings = [
        list(members) for _, members in groupby(single, key=lambda row: (row.dataset, row.setting))
    ]
    heights = [ROW_HEIGHT_INCH * (1 + len({*_names(members).values()})) for members in settings]
    figure, axes = _grid(heights)
    for panels, members in zip(axes, settings, strict=True):
        first = members[0]
        simulated = " (simulated scans)" if is_standin(first.data_source) else ""
        panels[0].set_title(f"{first.dataset}, {first.setting}{simulated}", loc="left", fontsize=NORMAL)
        for axis, (metric, variant, label) in zip(panels, PANELS, strict=True):
            shown = [row for row in members if (row.metric, row.variant) == (metric, variant.name)]
            _panel(axis, shown, names=_names(members), label=label)
    known: dict[str, Artist] = {}
    for axis in axes.flat:
        handles, labels = axis.get_legend_handles_labels()
        known = {**dict(zip(labels, handles, strict=True)), **known}
    figure.legend(list(known.values()), list(known), loc="lower center", ncols=5, fontsize=SMALL)
    return figure


def _grid(heights: Sequence[float]) -> tuple[Figure, np.ndarray]:
    """A figure, and its panels (row, column); rows are ``heights`` [inch] high.

    Margins are given: finding them out takes as long as drawing.
    """
    between = BETWEEN_INCH * (len(heights) - 1)
    height = sum(heights) + between + TOP_INCH + BOTTOM_INCH
    figure = new_figure(WIDTH_INCH, height)
    figure.set_layout_engine("none")
    axes = figure.subplots(
        len(heights), len(PANELS), squeeze=False, sharey="row",
        gridspec_kw={
            "height_ratios": heights, "left": LEFT_INCH / WIDTH_INCH,
            "right": 1 - RIGHT_INCH / WIDTH_INCH,
            "top": 1 - TOP_INCH / height, "bottom": BOTTOM_INCH / height, "wspace": 0.1,
            "hspace": BETWEEN_INCH * len(heights) / sum(heights),
        },
    )  # fmt: skip
    return figure, axes


def _panel(
    axis: Axes,
    rows: Sequence[TableRow],
    *,
    names: Mapping[tuple[str, str], str],
    label: str,
) -> None:
    """Methods from top to bottom. Published means that another statement contradicts have a mark."""
    methods = list(dict.fromkeys(names.values()))
    heights = {_run(row): methods.index(names[_run(row)]) for row in rows}
    points = [
        (mean, heights[_run(row)] + offset)
        for row in rows
        for mean, offset in _beside([value for _, value in row.subject_values])
    ]
    intervals = [
        (heights[_run(row)], row.ci_low, row.ci_high)
        for row in rows
        if row.ci_low is not None and row.ci_high is not None
    ]
    if intervals:
        axis.hlines(
            *zip(*intervals, strict=True), color=BLUE, linewidth=1.8, label="interval of the mean"
        )
    means = [(row.mean, heights[_run(row)]) for row in rows]
    _plot(axis, means, "D", color=BLUE, label="mean", markersize=4)
    # Above the mean, and larger: with one subject they are in one place.
    _plot(
        axis, points, "o", color=GREY, label="one test subject", markersize=6.5, fillstyle="none",
        markeredgewidth=1.0, zorder=3,
    )  # fmt: skip
    for label_of, marker, doubted in (("published", "x", False), ("published, doubted", "1", True)):
        published = [
            (row.paper_mean, heights[_run(row)])
            for row in rows
            if row.paper_mean is not None and bool(row.paper_doubt) == doubted
        ]
        _plot(
            axis, published, marker, color=VERMILION, label=label_of, markersize=6.5, markeredgewidth=1.5
        )
    axis.set_yticks(range(len(methods)), methods, fontsize=SMALL)
    axis.set_ylim(len(methods) - 0.5, -0.5)
    axis.set_xlabel(label, fontsize=SMALL)
    axis.tick_params(axis="x", labelsize=SMALL)
    axis.locator_params(axis="x", nbins=4)
    axis.grid(axis="both", alpha=0.25)


def _plot(axis: Axes, points: Sequence[tuple[float, float]], marker: str, **style: Any) -> None:
    """Points (x, y), if there are any."""
    if points:
        x, y = zip(*points, strict=True)
        axis.plot(x, y, marker, **style)


def _beside(means: Sequence[float]) -> Iterator[tuple[float, float]]:
    """Each mean, and how far from the middle of its method it is drawn."""
    offsets = _SPREAD * np.linspace(-1, 1, len(means)) if len(means) > 1 else np.zeros(len(means))
    yield from zip(means, offsets.tolist(), strict=True)


def _run(row: TableRow) -> tuple[str, str]:
    return row.method, row.learning


def _names(rows: Sequence[TableRow]) -> dict[tuple[str, str], str]:
    """Label of each (method, learning): the method, and where one learned in several ways, how."""
    ways = dict.fromkeys((row.method, row.learning) for row in rows)
    several = len(ways) > len({method for method, _ in ways})
    return {way: ", ".join(way) if several else way[0] for way in ways}
