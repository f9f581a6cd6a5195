"""Restored images of one slice beside each other, with errors, closer views and profiles of a lesion."""

from __future__ import annotations

import math
import textwrap
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from matplotlib.gridspec import GridSpecFromSubplotSpec
from matplotlib.lines import Line2D
from matplotlib.patches import Rectangle

from quietpet.evaluation.drawing import (
    BLACK,
    CURVES,
    GREY,
    NORMAL,
    ORANGE,
    SKY_BLUE,
    SMALL,
    STYLES,
    new_figure,
)
from quietpet.evaluation.gallery import GallerySlice, head_box

ACTIVITY_COLOURS, DIFFERENCE_COLOURS = "gray_r", "PuOr_r"
"""Grey, and orange against purple: both are read with any colour vision."""

COLUMNS = 7
PANEL_INCH = 1.55
BAND_INCH = 2 * 1.12 * PANEL_INCH
BARS_INCH = 0.55
PROFILE_INCH = 2.4
LEAST_INCH = 6.5
LETTERS_PER_INCH = 13
"""Of the title, at most: more of them would be cut at the edge of a narrow figure."""
MARGIN_PIXELS = 3
CLOSER_PIXELS = 9
"""Half the side of the square that is shown larger."""
PROFILE_HALF_PIXELS = 20
DIFFERENCE_PERCENTILE = 99.5
"""Of the low dose's absolute differences in the head: where the colours of differences end."""


@dataclass(frozen=True, kw_only=True)
class _Scale:
    """What all panels share: the crop, and where colours end."""

    crop: tuple[slice, slice]
    activity: float
    difference: float


def draw_gallery(shown: GallerySlice) -> Figure:
    """T1, LPET, every method and SPET in rows of at most :data:`COLUMNS`, then the profiles."""
    panels = _panels(shown)
    columns = math.ceil(len(panels) / math.ceil(len(panels) / COLUMNS))
    bands = [panels[start : start + columns] for start in range(0, len(panels), columns)]
    scale = _scale(shown)
    heights = [*[BAND_INCH] * len(bands), BARS_INCH, PROFILE_INCH]
    figure = new_figure(max(PANEL_INCH * columns, LEAST_INCH), sum(heights))
    grid = figure.add_gridspec(len(heights), 1, height_ratios=heights)
    for number, band in enumerate(bands):
        cells = GridSpecFromSubplotSpec(2, columns, grid[number])
        for column, (name, image) in enumerate(band):
            above = figure.add_subplot(cells[0, column])
            below = figure.add_subplot(cells[1, column])
            _draw_image(above, name, image, shown, scale)
            _draw_difference(below, name, image, shown, scale)
    _colour_bars(figure, GridSpecFromSubplotSpec(1, 2, grid[-2]), shown, scale)
    _draw_profiles(figure.add_subplot(grid[-1]), shown)
    title = (f"{shown.dataset}, {shown.setting}: slice {shown.key}", shown.rule)
    wide = int(figure.get_figwidth() * LETTERS_PER_INCH)
    figure.suptitle("\n".join(textwrap.fill(line, wide) for line in title), fontsize=NORMAL)
    return figure


def _panels(shown: GallerySlice) -> list[tuple[str, np.ndarray]]:
    t1 = [] if shown.t1 is None else [("T1", shown.t1)]
    return [*t1, ("LPET", shown.low), *shown.restored.items(), ("SPET", shown.standard)]


def _scale(shown: GallerySlice) -> _Scale:
    rows, columns = head_box(shown.head)
    side = max(rows.stop - rows.start, columns.stop - columns.start) + 2 * MARGIN_PIXELS
    height, width = shown.head.shape
    crop = (_around(rows, side, height), _around(columns, side, width))
    head = shown.head > 0
    low = np.abs(shown.low - shown.standard)[head]
    return _Scale(
        crop=crop,
        activity=float(shown.standard[head].max()),
        difference=float(np.percentile(low, DIFFERENCE_PERCENTILE)) or 1.0,
    )


def _around(box: slice, side: int, size: int) -> slice:
    """``side`` pixels about the middle of ``box``, as far as there are any of ``size``."""
    first = (box.start + box.stop - side) // 2
    return slice(max(0, first), min(size, first + side))


def _draw_image(axis: Axes, name: str, image: np.ndarray, shown: GallerySlice, scale: _Scale) -> None:
    is_t1 = name == "T1"
    top = float(np.nanmax(image)) if is_t1 else scale.activity
    colours, most = "gray" if is_t1 else ACTIVITY_COLOURS, top or 1.0
    axis.imshow(image, cmap=colours, vmin=0.0, vmax=most, interpolation="nearest")
    _mark_lesions(axis, shown, width=0.7)
    _window(axis, scale)
    y, x = shown.centre
    side = 2 * CLOSER_PIXELS + 1
    corner = (x - side / 2, y - side / 2)
    axis.add_patch(Rectangle(corner, side, side, fill=False, edgecolor=GREY, linewidth=0.8))
    closer = axis.inset_axes((0.64, 0.0, 0.36, 0.36))
    closer.imshow(image, cmap=colours, vmin=0.0, vmax=most, interpolation="nearest")
    _mark_lesions(closer, shown, width=0.9)
    closer.set(
        xlim=(corner[0], corner[0] + side), ylim=(corner[1] + side, corner[1]), xticks=[], yticks=[]
    )
    closer.spines[:].set(color=GREY, linewidth=0.8)
    if name == "SPET":
        half = PROFILE_HALF_PIXELS
        axis.plot((x - half, x + half), (y, y), color=BLACK, linewidth=0.7, linestyle=":")
    axis.set_title(name, fontsize=NORMAL)


def _draw_difference(
    axis: Axes, name: str, image: np.ndarray, shown: GallerySlice, scale: _Scale
) -> None:
    if name in ("T1", "SPET"):
        axis.set_axis_off()
        if name == "SPET" and (marks := _lesion_marks(shown)):
            axis.legend(handles=marks, fontsize=SMALL, loc="center", frameon=False)
        return
    axis.imshow(
        image - shown.standard, cmap=DIFFERENCE_COLOURS, vmin=-scale.difference, vmax=scale.difference,
        interpolation="nearest",
    )  # fmt: skip
    _window(axis, scale)
    if name in shown.nmse:
        axis.set_title(f"NMSE {shown.nmse[name]:.4f}", fontsize=SMALL)


def _window(axis: Axes, scale: _Scale) -> None:
    rows, columns = scale.crop
    axis.set(
        xlim=(columns.start - 0.5, columns.stop - 0.5), ylim=(rows.stop - 0.5, rows.start - 0.5),
        xticks=[], yticks=[],
    )  # fmt: skip
    axis.spines[:].set_visible(False)


def _mark_lesions(axis: Axes, shown: GallerySlice, *, width: float) -> None:
    for mask, colour, style in (
        (shown.pet_lesions > 0, ORANGE, "solid"),
        (shown.t1_only, SKY_BLUE, "dashed"),
    ):
        if mask.any():
            axis.contour(mask, levels=[0.5], colors=colour, linewidths=width, linestyles=style)


def _lesion_marks(shown: GallerySlice) -> list[Line2D]:
    marks = []
    if shown.has_pet_lesion:
        marks.append(Line2D([], [], color=ORANGE, label="lesion in PET"))
    if shown.has_t1_only_lesion:
        marks.append(Line2D([], [], color=SKY_BLUE, linestyle="dashed", label="in T1 alone"))
    return marks


def _colour_bars(
    figure: Figure, cells: GridSpecFromSubplotSpec, shown: GallerySlice, scale: _Scale
) -> None:
    """Of activity and of differences, which hold for all panels."""
    for cell, colours, ends, beyond, label in (
        (cells[0], ACTIVITY_COLOURS, (0.0, scale.activity), "max", "activity"),
        (
            cells[1], DIFFERENCE_COLOURS, (-scale.difference, scale.difference), "both",
            "difference to SPET",
        ),
    ):  # fmt: skip
        bar = figure.colorbar(
            ScalarMappable(Normalize(*ends), colours),
            cax=figure.add_subplot(cell),
            orientation="horizontal",
            extend=beyond,
        )
        bar.set_label(f"{label} [{shown.unit}]", fontsize=SMALL)
        bar.ax.tick_params(labelsize=SMALL)


def _draw_profiles(axis: Axes, shown: GallerySlice) -> None:
    """Activity along x through the centre."""
    y, x = shown.centre
    half = min(PROFILE_HALF_PIXELS, x, shown.standard.shape[1] - 1 - x)
    along = np.s_[y, x - half : x + half + 1]
    millimetres = np.arange(-half, half + 1) * shown.pixel_mm
    inside = shown.pet_lesions[along] > 0
    axis.fill_between(
        millimetres, 0, 1, where=inside, step="mid", transform=axis.get_xaxis_transform(),
        color=ORANGE, alpha=0.2, linewidth=0, label="lesion" if inside.any() else None,
    )  # fmt: skip
    axis.plot(millimetres, shown.low[along], color=GREY, linewidth=1.0, label="LPET")
    axis.plot(millimetres, shown.standard[along], color=BLACK, linewidth=2.0, label="SPET")
    for number, name in enumerate(shown.profiled):
        axis.plot(
            millimetres, shown.restored[name][along], color=CURVES[number],
            linestyle=STYLES[number % len(STYLES)], linewidth=1.3, label=name,
        )  # fmt: skip
    axis.set_xlabel(
        f"mm along x through {'the lesion' if inside.any() else 'the centre'}", fontsize=SMALL
    )
    axis.set_ylabel(f"activity [{shown.unit}]", fontsize=SMALL)
    axis.tick_params(labelsize=SMALL)
    axis.grid(alpha=0.3)
    axis.margins(x=0)
    axis.legend(fontsize=SMALL, loc="center left", bbox_to_anchor=(1.0, 0.5), frameon=False)
