"""What all figures share: colours that every reader tells apart, and files of them as PNG and SVG."""

from __future__ import annotations

from pathlib import Path

import matplotlib as mpl
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


def save(figure: Figure, *, png: Path, svg: Path | None = None) -> None:
    """Write the figure; the same figure gives the same bytes.

    Letters of the SVG stay letters, which can be searched, and read aloud.
    """
    with atomic_path(png) as partial:
        figure.savefig(partial, format="png", dpi=DPI)
    if svg is not None:
        figure.set_layout_engine("none")  # it is laid out
        with (
            atomic_path(svg) as partial,
            mpl.rc_context({"svg.fonttype": "none", "svg.hashsalt": "quietpet"}),
        ):
            figure.savefig(partial, format="svg", dpi=DPI, metadata={"Date": None})
