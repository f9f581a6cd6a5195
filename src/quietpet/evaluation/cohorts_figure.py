"""Effects between cohorts by kind of image, one panel for each region, beside the standard dose."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from quietpet.evaluation.cohort_rows import REVERSED, SMALLER, STANDARD, EffectRow
from quietpet.evaluation.cohorts_section import name_of

KEPT_COLOUR, LOST_COLOUR, STANDARD_COLOUR = "#0072B2", "#D55E00", "#000000"
"""Blue, vermilion and black of Okabe and Ito's set, which colour-blind readers tell apart."""
ROW_HEIGHT_INCH = 0.28
PANEL_WIDTH_INCH = 2.6
MARGIN_INCH = 1.1


def draw_cohorts(effects: Sequence[EffectRow]) -> Figure:
    """One row of panels per pair of cohorts and setting; effects that are smaller have another mark."""
    groups = [
        (f"{diseased} against {healthy}, {setting}", list(members))
        for (healthy, diseased, setting), members in groupby(
            effects, key=lambda row: (row.healthy, row.diseased, row.setting)
        )
    ]
    regions = list(dict.fromkeys(row.region for row in effects))
    heights = [MARGIN_INCH + ROW_HEIGHT_INCH * len({name_of(row) for row in rows}) for _, rows in groups]
    size = (MARGIN_INCH + PANEL_WIDTH_INCH * len(regions), sum(heights))
    figure = Figure(figsize=size, layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots(len(groups), len(regions), squeeze=False, sharey="row", height_ratios=heights)
    for panels, (title, rows) in zip(axes, groups, strict=True):
        panels[0].set_title(title, loc="left", fontsize=9)
        for axis, region in zip(panels, regions, strict=True):
            _panel(axis, [row for row in rows if row.region == region])
            axis.set_xlabel(f"{region.replace('_', ' ')}: Hedges' g", fontsize=8)
    handles = {
        label: handle
        for axis in axes.flat
        for handle, label in zip(*axis.get_legend_handles_labels(), strict=True)
    }
    figure.legend([*handles.values()], [*handles], loc="outside lower center", ncols=4, fontsize=8)
    return figure


def _panel(axis: Axes, rows: Sequence[EffectRow]) -> None:
    """Kinds of images from top to bottom, with the intervals of their effects."""
    names = [name_of(row).replace("`", "") for row in rows]
    axis.set_yticks(range(len(names)), names, fontsize=8)
    axis.set_ylim(len(names) - 0.5, -0.5)
    axis.axvline(0, color="grey", linewidth=0.8)
    for height, row in enumerate(rows):
        if row.hedges_g is None:
            continue
        if row.image == STANDARD:
            axis.axvline(row.hedges_g, color=STANDARD_COLOUR, linewidth=0.8, linestyle="--")
        label, colour, marker = _mark(row)
        axis.plot(row.hedges_g, height, marker, color=colour, markersize=5, label=label)
        if row.ci_low is not None and row.ci_high is not None:
            axis.hlines(height, row.ci_low, row.ci_high, color=colour, linewidth=1.2)
    axis.tick_params(axis="x", labelsize=8)
    axis.grid(axis="x", alpha=0.3)


def _mark(row: EffectRow) -> tuple[str, str, str]:
    """Label, colour and marker of an effect."""
    if row.image == STANDARD:
        return "standard dose", STANDARD_COLOUR, "D"
    if row.verdict == REVERSED:
        return "of the other sign than at the standard dose", LOST_COLOUR, "X"
    if SMALLER in (row.verdict, row.difference_verdict):
        return "g or the difference is smaller than at the standard dose", LOST_COLOUR, "v"
    return "not shown to be smaller", KEPT_COLOUR, "o"
