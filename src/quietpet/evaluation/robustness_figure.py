"""PSNR, SSIM and NMSE of every method with each T1 that it was given."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby

from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from quietpet.config.robustness import OWN, T1_CONDITIONS
from quietpet.data_source import is_standin
from quietpet.evaluation.comparison import QUANTITATIVE
from quietpet.evaluation.robustness import RobustnessRow

PANELS = (("psnr_db", "PSNR [dB]"), ("ssim", "SSIM"), ("nmse", "NMSE"))

# Colours of Okabe and Ito (https://jfly.uni-koeln.de/color), which people with any colour vision tell
# apart, and shapes for prints in grey.
STYLES = {
    "own": ("#000000", "o"),
    "none": ("#999999", "X"),
    "shift_2mm": ("#56B4E9", "^"),
    "shift_4mm": ("#0072B2", "v"),
    "rotate_3deg": ("#E69F00", "D"),
    "other_subject": ("#D55E00", "s"),
}
_BEST = "best without T1"
_ROW_HEIGHT_INCH = 0.32
_PANEL_MARGIN_INCH = 1.0
_SPREAD = 0.4
"""Height over which the points of a method are spread, in rows."""


def draw_robustness(rows: Sequence[RobustnessRow]) -> Figure:
    """One row of panels per data set and setting; ``quantitative``, the estimate ``single`` only."""
    shown = [row for row in rows if row.estimate == "single" and row.variant == QUANTITATIVE.name]
    groups = [list(members) for _, members in groupby(shown, key=lambda row: (row.dataset, row.setting))]
    heights = [_PANEL_MARGIN_INCH + _ROW_HEIGHT_INCH * len(_runs(members)) for members in groups]
    figure = Figure(figsize=(11.0, sum(heights)), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots(len(groups), len(PANELS), squeeze=False, height_ratios=heights)
    for panels, members in zip(axes, groups, strict=True):
        first = members[0]
        simulated = " (simulated scans)" if is_standin(first.data_source) else ""
        panels[0].set_title(f"{first.dataset}, {first.setting}{simulated}", loc="left", fontsize=9)
        for axis, (metric, label) in zip(panels, PANELS, strict=True):
            _panel(axis, [row for row in members if row.metric == metric], label=label)
    known: dict[str, Artist] = {}
    for axis in axes.flat:
        handles, labels = axis.get_legend_handles_labels()
        known = {**dict(zip(labels, handles, strict=True)), **known}
    order = [name for name in (*T1_CONDITIONS, _BEST) if name in known]
    figure.legend(
        [known[name] for name in order], order, loc="outside lower center", ncols=4, fontsize=8
    )
    return figure


def _panel(axis: Axes, rows: Sequence[RobustnessRow], *, label: str) -> None:
    """Methods from top to bottom; bars are the intervals of the difference to the own T1."""
    runs = _runs(rows)
    conditions = [each for each in T1_CONDITIONS if any(row.t1 == each for row in rows)]
    own = {_run(row): row.mean for row in rows if row.t1 == OWN}
    for number, condition in enumerate(conditions):
        colour, marker = STYLES[condition]
        of_condition = [row for row in rows if row.t1 == condition]
        offset = _SPREAD * (number / max(1, len(conditions) - 1) - 0.5)
        heights = [runs.index(_run(row)) + offset for row in of_condition]
        axis.plot(
            [row.mean for row in of_condition],
            heights,
            marker,
            color=colour,
            markersize=4,
            label=condition,
        )
        for row, height in zip(of_condition, heights, strict=True):
            if row.difference_ci_low is not None and row.difference_ci_high is not None:
                before = own[_run(row)]
                ends = (before + row.difference_ci_low, before + row.difference_ci_high)
                axis.hlines(height, *ends, color=colour, linewidth=1.2)
    axis.axvline(rows[0].best_without_t1_mean, color="black", linewidth=0.8, linestyle="--", label=_BEST)
    names = [method if _learned_once(runs, method) else f"{method}, {how}" for method, how in runs]
    axis.set_yticks(range(len(runs)), names, fontsize=8)
    axis.set_ylim(len(runs) - 0.5, -0.5)
    axis.set_xlabel(label, fontsize=8)
    axis.tick_params(axis="x", labelsize=8)
    axis.grid(axis="x", alpha=0.3)


def _run(row: RobustnessRow) -> tuple[str, str]:
    return row.method, row.learning


def _runs(rows: Sequence[RobustnessRow]) -> list[tuple[str, str]]:
    return list(dict.fromkeys(map(_run, rows)))


def _learned_once(runs: Sequence[tuple[str, str]], method: str) -> bool:
    return sum(name == method for name, _ in runs) == 1
