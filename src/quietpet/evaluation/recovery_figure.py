"""Contrast recovery against background variability, and maps of bias and noise."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from quietpet.evaluation.drawing import BLACK, CURVES, GREY, SMALL, new_figure
from quietpet.evaluation.recovery_table import LOW, STANDARD, RecoveryRow

# Of six colours and ten shapes every method of thirty has a pair of its own.
_SHAPES = ("o", "s", "^", "D", "v", "P", "X", "<", ">", "h")
_STYLES = {STANDARD: (BLACK, "*"), LOW: (BLACK, "o")}
_PANEL_INCH = (3.4, 2.9)
_MAP_INCH = 1.75
_MARGIN_PIXELS = 3


def draw_recovery(rows: Sequence[RecoveryRow], *, methods: Sequence[str]) -> Figure:
    """A row of panels per data set, lesion set and contrast, a panel per radius; the first samples.

    The line is the low dose under Gaussian filters of growing width.
    """
    shown = [row for row in rows if row.estimate == "single"]
    grids = list(dict.fromkeys(map(_grid, shown)))
    radii = sorted({row.radius_mm for row in shown}, reverse=True)
    size = (_PANEL_INCH[0] * len(radii), _PANEL_INCH[1] * len(grids) + 1.2)
    figure = new_figure(*size)
    axes = figure.subplots(len(grids), len(radii), squeeze=False, sharey="row")
    for panels, grid in zip(axes, grids, strict=True):
        for axis, radius_mm in zip(panels, radii, strict=True):
            of_panel = [row for row in shown if _grid(row) == grid and row.radius_mm == radius_mm]
            _panel(axis, of_panel, methods)
            axis.set_title(f"radius {radius_mm:g} mm", fontsize=SMALL)
        dataset, setting, lesion_set, contrast = grid
        kind = "hot" if contrast > 0 else "cold"
        panels[0].set_ylabel(
            f"{dataset}/{setting}, {lesion_set}\n{kind}, {contrast:+.0%} of white matter\n"
            "contrast recovery",
            fontsize=SMALL,
        )
    for axis in axes[-1]:
        axis.set_xlabel("background variability [%]", fontsize=SMALL)
    handles: dict[str, Artist] = {}
    for axis in axes.flat:
        for handle, label in zip(*axis.get_legend_handles_labels(), strict=True):
            handles.setdefault(label, handle)
    figure.legend(list(handles.values()), list(handles), loc="outside lower center", ncols=6, fontsize=7)
    return figure


def _panel(axis: Axes, rows: Sequence[RecoveryRow], methods: Sequence[str]) -> None:
    axis.axhline(1, color="black", linewidth=0.6)
    axis.axhline(0, color="black", linewidth=0.6)
    points = list(_points(rows))
    filtered = [(x, y) for x, y, row in points if row.post_fwhm_mm]
    axis.plot(
        [x for x, _ in filtered],
        [y for _, y in filtered],
        "--",
        marker=".",
        markersize=3,
        color=GREY,
        linewidth=0.9,
        label="low dose, Gaussian filters",
    )
    for x, y, row in points:
        if row.post_fwhm_mm:
            continue
        colour, shape = _style(row.method, methods)
        axis.errorbar(
            x,
            y,
            yerr=row.crc_se,
            color=colour,
            marker=shape,
            markersize=7 if shape == "*" else 5,
            linestyle="none",
            elinewidth=0.8,
            label=_called(row, rows),
        )
    axis.set_xlim(left=0)
    axis.tick_params(labelsize=7)
    axis.grid(alpha=0.3)


def _points(rows: Sequence[RecoveryRow]) -> Iterator[tuple[float, float, RecoveryRow]]:
    """Background variability [%] and contrast recovery of each row that has both."""
    for row in rows:
        if row.crc is not None and row.background_variability_percent is not None:
            yield row.background_variability_percent, row.crc, row


def _grid(row: RecoveryRow) -> tuple[str, str, str, float]:
    return row.dataset, row.setting, row.lesion_set, row.contrast


def _style(method: str, methods: Sequence[str]) -> tuple[str, str]:
    if method in _STYLES:
        return _STYLES[method]
    number = list(methods).index(method)
    return CURVES[number % len(CURVES)], _SHAPES[number % len(_SHAPES)]


def _called(row: RecoveryRow, rows: Sequence[RecoveryRow]) -> str:
    """The method, and what it learned where that is not all the same."""
    learned = {each.learning for each in rows if each.method == row.method}
    return row.method if len(learned) == 1 else f"{row.method}, {row.learning}"


@dataclass(frozen=True, kw_only=True, eq=False)
class ShownMaps:
    """Maps (y, x) of one slice: of the truth, and of bias and noise by what they are of."""

    truth: np.ndarray
    head: np.ndarray
    bias: Mapping[str, np.ndarray]
    deviation: Mapping[str, np.ndarray]
    unit: str


def draw_maps(maps: ShownMaps) -> Figure:
    """Bias above, standard deviation below, side by side; each with one scale and one colour bar.

    Scales end at the 99th percentile of all that they show in the head.
    """
    rows, columns = (
        slice(max(0, where[0] - _MARGIN_PIXELS), where[-1] + 1 + _MARGIN_PIXELS)
        for where in (np.flatnonzero(maps.head.any(axis=axis)) for axis in (1, 0))
    )
    names = list(maps.bias)
    figure = new_figure(_MAP_INCH * (len(names) + 1) + 1.0, 2 * _MAP_INCH + 0.8)
    axes = figure.subplots(2, len(names) + 1, squeeze=False)
    for axis in axes.flat:
        axis.set_axis_off()
    axes[0, 0].imshow(maps.truth[rows, columns], cmap="gray", interpolation="nearest")
    axes[0, 0].set_title("truth", fontsize=SMALL)
    reach = _reach(maps.bias, maps.head)
    kinds = (
        ("bias", maps.bias, {"cmap": "RdBu_r", "vmin": -reach, "vmax": reach}, "both"),
        (
            "standard deviation", maps.deviation,
            {"cmap": "viridis", "vmin": 0, "vmax": _reach(maps.deviation, maps.head)}, "max",
        ),
    )  # fmt: skip
    for panels, (label, shown, scale, beyond) in zip(axes, kinds, strict=True):
        for axis, name in zip(panels[1:], names, strict=True):
            drawn = axis.imshow(shown[name][rows, columns], interpolation="nearest", **scale)
            axis.set_title(name, fontsize=SMALL)
        bar = figure.colorbar(drawn, ax=list(panels[1:]), extend=beyond, shrink=0.9, pad=0.01)
        bar.set_label(f"{label} [{maps.unit}]", fontsize=7)
        bar.ax.tick_params(labelsize=7)
    return figure


def _reach(images: Mapping[str, np.ndarray], head: np.ndarray) -> float:
    values = np.concatenate([np.abs(image[head > 0]) for image in images.values()])
    return float(np.percentile(values, 99)) or 1.0
