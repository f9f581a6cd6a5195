"""Which tables there are, and which rows each shows. Free of pandas: the workflow asks, too."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import NamedTuple

from quietpet.config.datasets import DatasetKind
from quietpet.evaluation.published import published_methods


@dataclass(frozen=True, kw_only=True)
class TableLayout:
    """What one table shows: a data set, and for an ablation only the methods published there.

    Without ``dataset`` it shows those that networks learned to restore under several regimes, with
    published settings of the form setting/regime. ``published_setting`` is the published table's own
    word for the study's published dose level; None where the settings carry the published names already.
    An ablation shows that level alone. ``regimes`` are those that the table is about, with the published
    word for each; None: all, under their own names. A setting that has none of them shows what it has,
    and a comparison of regimes leaves out the settings in which one is missing.
    """

    table: str
    title: str
    dataset: str | None
    kind: DatasetKind | None = None
    published_setting: str | None = None
    ablation: bool = False
    regimes: Mapping[str, str] | None = None

    @property
    def compares_learning(self) -> bool:
        """Whether its rows differ in how a method learned."""
        return self.dataset is None

    def setting_in_table(self, setting: str, published_settings: Collection[str]) -> str:
        """What the table calls a setting: the published dose level has the published table's name."""
        if self.published_setting is not None and setting in published_settings:
            return self.published_setting
        return setting


_TWO_STAGES = "external_internal"
IN_VIVO = "in vivo"
"""In the title of a table of scans; readers are told where the scans are simulated instead."""
_KINDS: dict[DatasetKind, str] = {"simulated": "phantoms", "scanned": IN_VIVO}

PUBLISHED_LAYOUTS = (
    TableLayout(
        table="1",
        title="phantoms, all methods",
        dataset="phantom",
        kind="simulated",
        published_setting="-",
    ),
    *(
        TableLayout(
            table=str(number + 1),
            title=f"{IN_VIVO}, OOD data {number}",
            dataset=f"ood{number}",
            kind="scanned",
            regimes={_TWO_STAGES: ""},
        )
        for number in (1, 2, 3)
    ),
    TableLayout(
        table="5",
        title="phantoms, ablation",
        dataset="phantom",
        kind="simulated",
        published_setting="ablation",
        ablation=True,
    ),
    TableLayout(table="6", title="learning in stages", dataset=None),
    TableLayout(
        table="7",
        title="one stage of mixed data, or two stages",
        dataset=None,
        regimes={"mixed": "single_stage", _TWO_STAGES: "two_stage"},
    ),
)

PUBLISHED_DATASETS = {layout.dataset: layout.kind for layout in PUBLISHED_LAYOUTS if layout.dataset}
"""Data sets that the published tables are about, and the kind of each."""


def layouts(datasets: Mapping[str, DatasetKind]) -> tuple[TableLayout, ...]:
    """The published tables, and one for each of ``datasets`` that none of them is about.

    It is called by the name of its data set, so that another data set changes no table.
    """
    own = (
        TableLayout(table=name, title=f"{_KINDS[kind]}, no published table", dataset=name, kind=kind)
        for name, kind in datasets.items()
        if PUBLISHED_DATASETS.get(name) != kind
    )
    return (*PUBLISHED_LAYOUTS, *own)


REFERENCE = "mfdiff"
"""What the others are compared with where nobody chose."""


def default_reference(methods: Iterable[str], trained: Collection[str]) -> str:
    """The method that the others are compared with: mfdiff, else the first network, else the first."""
    names = list(methods)
    networks = [name for name in names if name in trained]
    return REFERENCE if REFERENCE in names else (networks or names)[0]


def file_stem(table: str) -> str:
    """Name of the files of one table, without a suffix: table1, table_alzheimer."""
    return f"table{table}" if table.isdigit() else f"table_{table}"


class Run(NamedTuple):
    """What one row of a table is about, whatever its metric and estimate."""

    dataset: str
    setting: str
    method: str
    learning: str


@dataclass(frozen=True, kw_only=True)
class ShownPlan:
    """What decides which runs a table shows; ``datasets`` are all there are, with the kind of each."""

    datasets: Mapping[str, DatasetKind]
    trained: Collection[str]
    published_settings: Collection[str]


def shown(layout: TableLayout, runs: Iterable[Run], plan: ShownPlan) -> frozenset[Run]:
    """Those of all ``runs`` of a study that the table shows."""
    runs = frozenset(runs)
    found = _compared(layout, runs, plan) if layout.dataset is None else _of_data_set(layout, runs, plan)
    if layout.regimes is not None:
        # A setting whose networks learned in none of these ways shows what it has.
        about = {
            (run.dataset, run.setting)
            for run in runs
            if run.method in plan.trained and run.learning in layout.regimes
        }
        found = {
            run
            for run in found
            if run.learning in layout.regimes
            or run.method not in plan.trained
            or (run.dataset, run.setting) not in about
        }
    if layout.ablation:
        published = published_methods(layout.table)
        found = {
            run for run in found if run.setting in plan.published_settings and run.method in published
        }
    return frozenset(found)


def _of_data_set(layout: TableLayout, runs: Collection[Run], plan: ShownPlan) -> set[Run]:
    exists = plan.datasets.get(layout.dataset or "") == layout.kind
    return {run for run in runs if exists and run.dataset == layout.dataset}


def _compared(layout: TableLayout, runs: Collection[Run], plan: ShownPlan) -> set[Run]:
    """Networks that learned in every way that the table is about, or in several, and all filters."""
    ways: dict[tuple[str, str, str], set[str]] = {}
    for run in runs:
        if run.method in plan.trained and (layout.regimes is None or run.learning in layout.regimes):
            ways.setdefault(run[:3], set()).add(run.learning)
    needed = len(layout.regimes or ("one", "another"))
    compared = {run for run in runs if len(ways.get(run[:3], ())) >= needed}
    places = {(run.dataset, run.setting) for run in compared}
    filters = {
        run for run in runs if run.method not in plan.trained and (run.dataset, run.setting) in places
    }
    return compared | filters
