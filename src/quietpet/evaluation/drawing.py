"""What all figures share: colours that every reader tells apart, and files of them as PNG and SVG."""

from __future__ import annotations

from pathlib import Path
from typing import IO

import matplotlib as mpl
import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from quietpet.files.atomic import atomic_path

# Okabe and Ito's set (https://jfly.uni-koeln.de/color), told apart with any colour vision.
BLACK, GREY = "#000000", "#777777"
ORANGE, SKY_BLUE, GREEN = "#E69F00", "#56B4E9", "#009E73"
BLUE, VERMILION, PURPLE = "#0072B2", "#D55E00", "#CC79A7"
CURVES = (BLUE, VERMILION, GREEN, ORANGE, PURPLE, SKY_BLUE)
"""For lines beside each other, the strongest first."""
STYLES = ("-", "--", ":", "-.")
"""Of lines, where there are more of them than colours."""

SMALL, NORMAL = 8, 9
"""Sizes of letters [points]."""

DPI = 130
"""Pixels of a PNG in an inch."""


def new_figure(width_inch: float, height_inch: float) -> Figure:
    """An empty figure that lays itself out and needs no display."""
    figure = Figure(figsize=(width_inch, height_inch), layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def lay_out(figure: Figure) -> None:
    """Give all axes their places, to a millionth of the figure.

    The last digits of matplotlib's solver follow addresses in memory, and names in an SVG all digits.
    """
    figure.set_dpi(DPI)  # letters are measured in pixels
    figure.draw_without_rendering()
    figure.set_layout_engine("none")
    for axes in figure.axes:
        x, y, width, height = np.round(axes.get_position(original=True).bounds, 6).tolist()
        axes.set_position((x, y, width, height))


def save_svg(figure: Figure, file: Path | IO[str]) -> None:
    """Write a figure that is laid out. Letters stay letters, which can be searched, and read aloud."""
    with mpl.rc_context({"svg.fonttype": "none", "svg.hashsalt": "quietpet"}):
        figure.savefig(file, format="svg", dpi=DPI, metadata={"Date": None})


def save(figure: Figure, *, png: Path, svg: Path | None = None) -> None:
    """Write the figure; the same figure gives the same bytes."""
    lay_out(figure)
    with atomic_path(png) as partial:
        figure.savefig(partial, format="png", dpi=DPI)
    if svg is not None:
        with atomic_path(svg) as partial:
            save_svg(figure, partial)
