"""Training curves: what each network lost, and how well it restored, while it learned."""

from __future__ import annotations

import csv
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from matplotlib.figure import Figure

from quietpet.errors import InputError, reading
from quietpet.evaluation.drawing import CURVES, NORMAL, SMALL, STYLES, new_figure
from quietpet.files.sections import Cell, Column, Section, ShownFigure, Table, counted

FIGURE = "training_curves"
COLUMNS = 4
PANEL_INCH = (2.5, 1.9)
_READ = ("step", "loss", "validation", "iterations_per_s")


@dataclass(frozen=True, kw_only=True)
class Curve:
    """The log of one training, by iteration: ``loss`` of training and ``validation``.

    ``data`` is what it restores ("phantom/low"), ``training`` its stages and replicate
    ("external-internal/r0").
    """

    method: str
    data: str
    training: str
    iterations: tuple[int, ...]
    loss: tuple[float, ...]
    validation: tuple[float, ...]
    iterations_per_s: float


def read_curve(path: Path, *, methods: Sequence[str]) -> Curve | None:
    """The log of a file ``<data set>/<setting>/<method>/[<stages>/]<replicate>/training.csv``.

    None where nothing was learned by gradient.

    Raises:
        InputError: the file is no log of a training, or lies in no folder of a method of ``methods``.
    """
    with reading(path, "not a log of a training", KeyError, TypeError, csv.Error):
        with path.open(newline="", encoding="utf-8") as stream:
            rows = list(csv.DictReader(stream))
        values = {name: tuple(float(row[name]) for row in rows) for name in _READ}
    if not rows:
        return None
    folders = path.parent.parts
    place = next((at for at in (-2, -3) if len(folders) >= 2 - at and folders[at] in methods), None)
    if place is None:
        raise InputError(
            f"{path}: does not lie in a folder <data set>/<setting>/<method>/<training> of a method of "
            "the study; leave it out."
        )
    return Curve(
        method=folders[place],
        data="/".join(folders[place - 2 : place]),
        training="/".join(folders[place + 1 :]),
        iterations=tuple(map(int, values["step"])),
        loss=values["loss"],
        validation=values["validation"],
        iterations_per_s=values["iterations_per_s"][-1],
    )


def draw_curves(curves: Sequence[Curve]) -> Figure:
    """A panel for each method: validation loss by iteration, a line for each training."""
    methods = list(dict.fromkeys(curve.method for curve in curves))
    data = list(dict.fromkeys(curve.data for curve in curves))
    columns = min(COLUMNS, len(methods))
    rows = math.ceil(len(methods) / columns)
    figure = new_figure(PANEL_INCH[0] * max(columns, 2), PANEL_INCH[1] * rows + 0.5)
    axes = figure.subplots(rows, columns, squeeze=False)
    for axis, method in zip(axes.flat, methods, strict=False):
        for curve in (each for each in curves if each.method == method):
            number = data.index(curve.data)
            axis.plot(
                curve.iterations, curve.validation, color=CURVES[number % len(CURVES)], linewidth=1.0,
                linestyle=STYLES[number // len(CURVES) % len(STYLES)], marker="o", markersize=2.5,
                label=curve.data,
            )  # fmt: skip
        if all(value > 0 for curve in curves if curve.method == method for value in curve.validation):
            axis.set_yscale("log")
        axis.set_title(method, fontsize=NORMAL)
        axis.tick_params(labelsize=SMALL - 1, which="both")
        axis.grid(alpha=0.3)
    for axis in axes.flat[len(methods) :]:
        axis.set_axis_off()
    figure.supxlabel("iteration of its stage", fontsize=SMALL)
    figure.supylabel("validation loss", fontsize=SMALL)
    known = {
        label: handle
        for axis in axes.flat
        for handle, label in zip(*axis.get_legend_handles_labels(), strict=True)
    }
    figure.legend(
        [known[name] for name in data], data, loc="outside lower center", ncols=4, fontsize=SMALL
    )
    return figure


def training_section(curves: Sequence[Curve]) -> Section:
    """Every training as a row, and the figure of :func:`draw_curves`."""
    methods = dict.fromkeys(curve.method for curve in curves)
    rising = [curve for curve in curves if curve.validation[-1] > min(curve.validation)]
    return Section(
        id="training",
        title="Training curves",
        part="How it was made",
        summary=f"{counted(len(curves), 'training')} of {counted(len(methods), 'network')}. Of "
        f"{len(rising)} the last validation loss is above the least one before it, which may be chance, "
        "or too long a training.",
        notes=(
            "Losses of different methods are different quantities: compare a curve with itself alone.",
            "A stage of learning that goes on from others counts its iterations from 0.",
        ),
        figures=(
            ShownFigure(
                file=f"{FIGURE}.svg",
                alt=f"Validation loss by iteration, one panel for each of {', '.join(methods)}.",
                caption="Validation loss while networks learned, a line for each training, coloured by "
                "the data that it is to restore.",
            ),
        ),
        tables=(
            Table(
                caption="Trainings",
                columns=(
                    Column(key="method", label="Method"),
                    Column(key="data", label="Data to restore"),
                    Column(key="training", label="Stages and seed"),
                    Column(key="iterations", label="Iterations"),
                    Column(key="loss", label="Last training loss"),
                    Column(key="validation", label="Last validation loss"),
                    Column(key="least", label="Least validation loss"),
                    Column(key="speed", label="Iterations per second", digits=2),
                ),
                rows=tuple(_row(curve) for curve in curves),
            ),
        ),
    )


def _row(curve: Curve) -> dict[str, Cell]:
    return {
        "method": curve.method,
        "data": curve.data,
        "training": curve.training,
        "iterations": curve.iterations[-1],
        "loss": curve.loss[-1],
        "validation": curve.validation[-1],
        "least": min(curve.validation),
        "speed": curve.iterations_per_s,
    }
