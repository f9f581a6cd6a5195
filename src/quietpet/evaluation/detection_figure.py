"""Areas under ROC curves of every method, one panel for each kind of lesion."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby

from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from quietpet.evaluation.detection import STANDARD, DetectionRow
from quietpet.evaluation.drawing import BLACK, CURVES, GREY, NORMAL, SMALL, new_figure

MARKERS = ("o", "s", "^", "D", "v", "P", "X")
"""Of radii, the largest first, beside their colours."""

NOTHING_STYLE = (GREY, "x")

_ROW_INCH, _MARGIN_INCH, _PANEL_INCH = 0.34, 1.0, 3.0
_SPREAD = 0.5
"""Height over which the radii of a method are spread, in rows."""


def draw_detection(rows: Sequence[DetectionRow]) -> Figure:
    """One row of panels per data set and setting, of the Hotelling observer and single samples.

    A panel per contrast, and one of what is found where nothing is; bars are intervals of other noise.
    """
    shown = [row for row in rows if row.observer == "hotelling" and row.estimate == "single"]
    groups = [list(members) for _, members in groupby(shown, key=lambda row: (row.dataset, row.setting))]
    columns = max(len(_contrasts(members)) for members in groups)
    heights = [_MARGIN_INCH + _ROW_INCH * len(names_of(members)) for members in groups]
    figure = new_figure(1.0 + _PANEL_INCH * columns, sum(heights))
    axes = figure.subplots(len(groups), columns, squeeze=False, height_ratios=heights, sharey="row")
    for panels, members in zip(axes, groups, strict=True):
        panels[0].set_title(f"{members[0].dataset}, {members[0].setting}", loc="left", fontsize=NORMAL)
        contrasts = _contrasts(members)
        for axis, contrast in zip(panels, contrasts, strict=False):
            _panel(axis, members, contrast)
        for axis in panels[len(contrasts) :]:
            axis.set_axis_off()
    known: dict[str, Artist] = {}
    for axis in axes.flat:
        handles, labels = axis.get_legend_handles_labels()
        known = {**dict(zip(labels, handles, strict=True)), **known}
    figure.legend([*known.values()], [*known], loc="outside lower center", ncols=4, fontsize=SMALL)
    return figure


def names_of(rows: Sequence[DetectionRow]) -> list[str]:
    """What was read, in the order of the rows; how it learned where that differs."""
    runs = _runs(rows)
    learned = {method: {how for _, name, how in runs if name == method} for _, method, _ in runs}
    return [
        "standard dose"
        if image == STANDARD
        else method
        if len(learned[method]) == 1
        else f"{method}, {how}"
        for image, method, how in runs
    ]


def kind_of(contrast: float | None) -> str:
    """Lesions of a contrast to white matter, in words."""
    if contrast is None:
        return "no lesion"
    return f"{'hot' if contrast > 0 else 'cold'} ({100 * contrast:+.0f} %)"


def _run(row: DetectionRow) -> tuple[str, str, str]:
    return row.image, row.method, row.learning


def _runs(rows: Sequence[DetectionRow]) -> list[tuple[str, str, str]]:
    return list(dict.fromkeys(map(_run, rows)))


def _contrasts(rows: Sequence[DetectionRow]) -> list[float | None]:
    return list(dict.fromkeys(row.contrast for row in rows))


def _panel(axis: Axes, rows: Sequence[DetectionRow], contrast: float | None) -> None:
    names = names_of(rows)
    height = {run: place for place, run in enumerate(_runs(rows))}
    # Of lesions each radius by itself; nothing has none.
    members = [
        row
        for row in rows
        if row.contrast == contrast and (contrast is None or row.radius_mm is not None)
    ]
    radii = list(dict.fromkeys(row.radius_mm for row in members))
    for number, radius_mm in enumerate(radii):
        colour, marker = (
            NOTHING_STYLE
            if radius_mm is None
            else (CURVES[number % len(CURVES)], MARKERS[number % len(MARKERS)])
        )
        offset = _SPREAD * ((number + 0.5) / len(radii) - 0.5)
        label = "nothing there" if radius_mm is None else f"radius {radius_mm:g} mm"
        of_radius = [row for row in members if row.radius_mm == radius_mm]
        heights = [height[_run(row)] + offset for row in of_radius]
        for place, row in zip(heights, of_radius, strict=True):
            axis.hlines(place, row.ci_low, row.ci_high, color=colour, linewidth=1.2)
        axis.plot(
            [row.auc for row in of_radius],
            heights,
            marker,
            color=colour,
            markersize=4,
            label=label,
        )
    axis.axvline(0.5, color=BLACK, linewidth=0.8, linestyle=":", label="guessing")
    axis.set_yticks(range(len(names)), names, fontsize=SMALL)
    axis.set_ylim(len(names) - 0.5, -0.5)
    axis.set_xlabel(f"AUC, {kind_of(contrast)}", fontsize=SMALL)
    axis.tick_params(axis="x", labelsize=SMALL)
    axis.grid(axis="x", alpha=0.3)
