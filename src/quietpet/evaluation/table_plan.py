"""What the tables need to know of the study."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from quietpet.config.evaluation import EvaluationSettings
from quietpet.config.inputs import WithoutT1
from quietpet.errors import InputError
from quietpet.evaluation.layouts import ShownPlan, TableLayout, default_reference
from quietpet.evaluation.metrics import METRICS
from quietpet.evaluation.rows import OfRun
from quietpet.files.rates import RateTrials


@dataclass(frozen=True, kw_only=True)
class TablePlan(ShownPlan):
    """What the tables need to know of the study; ``methods`` and ``doses`` map names to descriptions.

    ``regimes`` are those under which networks learn to restore data sets, ``trained`` the methods that
    do. ``reference`` is the method that the others are compared with; empty: none. ``iterations`` are
    those of each stage, by data set, method and regime, and ``budget`` says what else a training may
    spend. ``physics`` are sentences on what the simulation makes easier or harder than reality.
    ``without_t1`` are the methods that use T1.
    """

    protocol: str
    methods: Mapping[str, str]
    regimes: tuple[str, ...]
    reference: str = ""
    iterations: Mapping[str, Mapping[str, Mapping[str, str]]]
    doses: Mapping[str, str]
    acquisition: str
    rays: int
    evaluation: EvaluationSettings
    physics: tuple[str, ...] = ()
    budget: str = ""
    without_t1: tuple[WithoutT1, ...] = ()


def plan_of(settings: Mapping[str, Any], trials: Mapping[Path, RateTrials]) -> TablePlan:
    """The plan of these ``settings``, with the learning rate that was chosen for each method.

    ``trials`` are by the file that holds them. Raises InputError, which names it, for an unknown method.
    """
    methods = dict(settings["methods"])
    for path, found in trials.items():
        if found.method not in methods:
            raise InputError(
                f"{path}: is of the unknown method {found.method!r}; known: {', '.join(methods)}. "
                "Leave this file out."
            )
        methods[found.method] += f"; {found.describe()}"
    reference = settings["reference"] or default_reference(methods, settings["trained"])
    return TablePlan(**{**settings, "methods": methods, "reference": reference})


class InTable(OfRun, Protocol):
    """What has a place in a table."""

    @property
    def estimate(self) -> str: ...
    @property
    def metric(self) -> str: ...
    @property
    def variant(self) -> str: ...


def order_in_table(row: InTable, layout: TableLayout, plan: TablePlan) -> tuple[Any, ...]:
    """The published level first, methods as configured, metrics as registered."""
    methods = list(plan.methods)
    metrics = [(metric.variant.name, metric.name) for metric in METRICS]
    return (
        row.dataset,
        row.setting != layout.published_setting,
        row.setting,
        methods.index(row.method),
        plan.regimes.index(row.learning) if row.learning in plan.regimes else -1,
        row.estimate != "single",
        row.estimate,
        metrics.index((row.variant, row.metric)),
    )
