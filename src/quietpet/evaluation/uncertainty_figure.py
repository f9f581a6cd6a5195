"""Calibration and sparsification curves of methods that sample."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from quietpet.data_source import is_standin
from quietpet.evaluation.drawing import CURVES, new_figure
from quietpet.evaluation.uncertainty import UncertaintyRow

MARKERS = ("s", "^", "D", "v", "P", "X")
"""Of how they learned."""
_PAIRS = 2
"""Data sets beside each other."""
_PANEL_INCH = 2.6


Style = tuple[str, str]


def draw_uncertainty(rows: Sequence[UncertaintyRow]) -> Figure:
    """Two panels for each data set and setting, from rows of whole data sets."""
    of: dict[tuple[str, str], list[UncertaintyRow]] = {}
    for row in rows:
        of.setdefault((row.dataset, row.setting), []).append(row)
    groups = list(of.values())
    pairs = min(_PAIRS, len(groups))
    lines = -(-len(groups) // pairs)
    size = (2 * pairs * _PANEL_INCH + 0.5, lines * _PANEL_INCH + 0.9)
    figure = new_figure(*size)
    axes = figure.subplots(lines, 2 * pairs, squeeze=False).reshape(-1, 2)
    styles = _styles(rows)
    for (calibration, order), members in zip(axes, groups, strict=False):
        simulated = " (simulated scans)" if is_standin(members[0].data_source) else ""
        calibration.set_title(
            f"{members[0].dataset}, {members[0].setting}{simulated}", loc="left", fontsize=8
        )
        _calibration(calibration, members, styles)
        _sparsification(order, members, styles)
    for panels in axes[len(groups) :]:
        for axis in panels:
            axis.set_axis_off()
    known: dict[str, Artist] = {}
    for axis in axes.flat:
        handles, labels = axis.get_legend_handles_labels()
        known = {**dict(zip(labels, handles, strict=True)), **known}
    order = [name for name in styles if name in known]
    figure.legend(
        [known[name] for name in order], order, loc="outside lower center", ncols=4, fontsize=8
    )
    return figure


def _calibration(axis: Axes, rows: Sequence[UncertaintyRow], styles: Mapping[str, Style]) -> None:
    """Coverage against level; circles: with the conformal factor."""
    axis.plot([0, 1], [0, 1], ":", color="grey", linewidth=1)
    for name, found in _by_name(rows, "coverage"):
        colour, marker = styles[name]
        axis.plot(*_points(found), f"-{marker}", color=colour, linewidth=1, markersize=4, label=name)
    for name, found in _by_name(rows, "conformal_coverage"):
        colour, _ = styles[name]
        axis.plot(*_points(found), "o", color=colour, markerfacecolor="none", markersize=6)
    axis.set(xlim=(0.4, 1), ylim=(0, 1.02))
    axis.set_xlabel("level of the interval", fontsize=8)
    axis.set_ylabel("part of the pixels inside", fontsize=8)
    _finish(axis)


def _sparsification(axis: Axes, rows: Sequence[UncertaintyRow], styles: Mapping[str, Style]) -> None:
    """Error that is left against the part that is removed; dashed: the oracle."""
    axis.axhline(1, color="grey", linestyle=":", linewidth=1)
    for quantity, line in (("remaining_error", "-"), ("oracle_error", "--")):
        for name, found in _by_name(rows, quantity):
            colour, _ = styles[name]
            axis.plot(*_points(found), line, color=colour, linewidth=1)
    axis.set(xlim=(0, 1), ylim=(0, None))
    axis.set_xlabel("most uncertain pixels removed", fontsize=8)
    axis.set_ylabel("error left / error of all", fontsize=8)
    _finish(axis)


def _styles(rows: Sequence[UncertaintyRow]) -> dict[str, Style]:
    """Colour and marker of each line."""
    methods = list(dict.fromkeys(row.method for row in rows))
    ways = list(dict.fromkeys(row.learning for row in rows))
    return {
        _name(row): (
            CURVES[methods.index(row.method) % len(CURVES)],
            MARKERS[ways.index(row.learning) % len(MARKERS)],
        )
        for row in rows
    }


def _finish(axis: Axes) -> None:
    axis.tick_params(labelsize=8)
    axis.grid(alpha=0.3)


def _by_name(
    rows: Sequence[UncertaintyRow], quantity: str
) -> Iterator[tuple[str, list[UncertaintyRow]]]:
    """Rows of a quantity by the name of their line, as they come."""
    of: dict[str, list[UncertaintyRow]] = {}
    for row in rows:
        if row.quantity == quantity:
            of.setdefault(_name(row), []).append(row)
    yield from of.items()


def _points(rows: Sequence[UncertaintyRow]) -> tuple[list[float], list[float]]:
    """Levels and values of the rows that have both."""
    known = sorted((row.at, row.value) for row in rows if row.at is not None and row.value is not None)
    return [at for at, _ in known], [value for _, value in known]


def _name(row: UncertaintyRow) -> str:
    """Method, and how it learned where that is said."""
    return row.method if row.learning in ("-", "external") else f"{row.method}, {row.learning}"
