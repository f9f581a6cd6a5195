"""PSNR and NMSE against network evaluations, one curve per sampler and spacing."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from quietpet.evaluation.drawing import CURVES, STYLES
from quietpet.evaluation.sampling import SamplingPlan

PANELS = (("psnr_db", "PSNR [dB]"), ("nmse", "NMSE"), ("spread_percent", "spread of the samples [%]"))

SHOWN_DB = 2.0
"""Quality further below the reference than this is not shown."""


def draw_sampling(plans: Sequence[SamplingPlan]) -> Figure:
    """One row of panels per plan."""
    figure = Figure(figsize=(11.0, 0.6 + 3.2 * len(plans)), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots(len(plans), len(PANELS), squeeze=False)
    for panels, plan in zip(axes, plans, strict=True):
        reference = plan.reference
        panels[0].set_title(
            f"{reference.method}: {reference.dataset}, {reference.setting}", loc="left", fontsize=9
        )
        for axis, (quantity, label) in zip(panels, PANELS, strict=True):
            _panel(axis, plan, quantity=quantity, label=label)
    handles, labels = axes[0, 0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=4, fontsize=8)
    return figure


def _panel(axis: Axes, plan: SamplingPlan, *, quantity: str, label: str) -> None:
    reference = getattr(plan.reference, quantity)
    axis.axhline(reference, color="black", linewidth=0.8, label=f"DDPM, {plan.reference.steps} steps")
    if quantity == "psnr_db":
        axis.axhspan(
            reference - plan.tolerance_db, reference + plan.tolerance_db, color="black", alpha=0.1
        )
    curves = groupby(plan.rows[1:], key=lambda row: (row.sampler, row.spacing))
    for number, ((sampler, spacing), members) in enumerate(curves):
        rows = list(members)
        axis.plot(
            [row.evaluations for row in rows],
            [getattr(row, quantity) for row in rows],
            marker="o",
            color=CURVES[number % len(CURVES)],
            linestyle=STYLES[number // len(CURVES) % len(STYLES)],
            markersize=3,
            linewidth=1.0,
            label=f"{sampler}, {spacing}",
        )
    for (name, row), marker in zip(plan.choices.items(), "*Ds", strict=True):
        axis.scatter(
            row.evaluations,
            getattr(row, quantity),
            marker=marker,
            label=name,
            color="none",
            edgecolors="black",
            s=60,
            zorder=3,
        )
    # A sampler that failed would otherwise hide the differences between the others.
    if quantity == "psnr_db":
        axis.set_ylim(bottom=max(axis.get_ylim()[0], reference - SHOWN_DB))
    elif quantity == "nmse":
        axis.set_ylim(top=min(axis.get_ylim()[1], reference * 10 ** (SHOWN_DB / 10)))
    axis.set_xscale("log")
    axis.set_xlabel("network evaluations per sample", fontsize=8)
    axis.set_ylabel(label, fontsize=8)
    axis.tick_params(labelsize=8)
    axis.grid(alpha=0.3)
