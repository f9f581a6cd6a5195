"""From score rows to table rows: checks, statistics, and the published value beside ours."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

import pandas as pd

from quietpet.config.datasets import DatasetKind
from quietpet.config.evaluation import EvaluationSettings
from quietpet.config.inputs import WithoutT1
from quietpet.errors import InputError
from quietpet.evaluation.comparison import PAPER, VARIANTS
from quietpet.evaluation.metrics import METRICS, metric_of
from quietpet.evaluation.published import PublishedKey, published_methods, published_values
from quietpet.evaluation.scoring import LINEAGE
from quietpet.evaluation.statistics import Summary, summarise
from quietpet.files.lineage import UNREGISTERED
from quietpet.files.text import csv_cell
from quietpet.seeds import numpy_rng


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


def file_stem(table: str) -> str:
    """Name of the files of one table, without a suffix: table1, table_alzheimer."""
    return f"table{table}" if table.isdigit() else f"table_{table}"


@dataclass(frozen=True, kw_only=True)
class TablePlan:
    """What the tables need to know of the study; ``methods`` and ``doses`` map names to descriptions.

    ``datasets`` are all there are, and the kind of each; ``regimes`` those under which networks learn to
    restore them, ``trained`` the methods that do. ``iterations`` are those of each stage, by data set,
    method and regime, and ``budget`` says what else a training may spend. ``physics`` are sentences on
    what the simulation makes easier or harder than reality. ``without_t1`` are the methods that use T1.
    """

    study_seed: int
    protocol: str
    methods: Mapping[str, str]
    datasets: Mapping[str, DatasetKind]
    regimes: tuple[str, ...]
    trained: tuple[str, ...]
    iterations: Mapping[str, Mapping[str, Mapping[str, str]]]
    published_settings: tuple[str, ...]
    doses: Mapping[str, str]
    acquisition: str
    rays: int
    evaluation: EvaluationSettings
    physics: tuple[str, ...] = ()
    budget: str = ""
    without_t1: tuple[WithoutT1, ...] = ()


@dataclass(frozen=True, kw_only=True)
class TableRow:
    """One row of ``tables.csv``: the fields are its columns, None is an empty cell.

    ``iterations`` are those of each stage of learning, one after the other; "-" where nothing is
    trained. ``spread_to_error`` as in :func:`quietpet.evaluation.spread.spread_to_error`, mean over
    trainings. ``paper_doubt`` says what contradicts the published value. ``metric_id`` fixes what was
    measured: see :meth:`quietpet.evaluation.metrics.Metric.id`.
    """

    table: str
    dataset: str
    setting: str
    method: str
    learning: str
    iterations: str
    metric: str
    variant: str
    metric_id: str
    estimate: str
    mean: float
    std: float | None
    ci_low: float | None
    ci_high: float | None
    seed_std: float | None
    n_subjects: int
    n_slices: int
    n_replicates: int
    spread_to_error: float | None
    paper_mean: float | None
    paper_std: float | None
    paper_doubt: str
    protocol: str
    data_source: str
    projector: str
    registration: str

    def cells(self) -> dict[str, str]:
        """The row as text, numbers to six significant digits."""
        return {column: csv_cell(getattr(self, column)) for column in TABLE_COLUMNS}


TABLE_COLUMNS = tuple(field.name for field in fields(TableRow))


def assemble(scores: pd.DataFrame, *, plan: TablePlan) -> tuple[TableRow, ...]:
    """Rows of every table that ``scores`` (columns of a score file) has data for, in table order.

    Raises InputError for unknown methods or data sets, slices scored twice, methods scored on different
    slices, and data sets that would mix data sources, projectors or registrations.
    """
    _check_names(scores, plan)
    scores = against_standard(scores)
    require_same_slices(scores)
    require_one_lineage(scores)
    rows: list[TableRow] = []
    for layout in layouts(plan.datasets):
        shown = _rows(scores[shown_in(scores, layout, plan)], layout, plan)
        rows.extend(sorted(shown, key=lambda row: _order(row, layout, plan)))
    return tuple(rows)


def against_standard(scores: pd.DataFrame) -> pd.DataFrame:
    """The scores in which images are compared with the standard dose: those of the tables."""
    return scores[scores["variant"].isin([variant.name for variant in VARIANTS])]


def shown_in(scores: pd.DataFrame, layout: TableLayout, plan: TablePlan) -> pd.Series:
    """Which rows of ``scores`` the table shows."""
    networks = scores["method"].isin(plan.trained)
    if layout.dataset is None:
        shown = _compared(scores, layout, plan)
    else:
        exists = plan.datasets.get(layout.dataset) == layout.kind
        shown = (scores["dataset"] == layout.dataset) & exists
    if layout.regimes is not None:
        about = scores["learning"].isin(layout.regimes)
        # A setting whose networks learned in none of these ways shows what it has.
        has_some = _of_setting(scores, networks & about, "any")
        shown &= about | ~networks | ~has_some
    if layout.ablation:
        shown &= scores["setting"].isin(plan.published_settings)
        shown &= scores["method"].isin(published_methods(layout.table))
    return shown


def _compared(scores: pd.DataFrame, layout: TableLayout, plan: TablePlan) -> pd.Series:
    """Networks that learned in every way that the table is about, or in several, and all filters."""
    networks = scores["method"].isin(plan.trained)
    about = networks if layout.regimes is None else networks & scores["learning"].isin(layout.regimes)
    ways, needed = scores["learning"].where(about), len(layout.regimes or ("one", "another"))
    of_method = ways.groupby([scores["dataset"], scores["setting"], scores["method"]])
    compared = of_method.transform("nunique") >= needed
    return compared | (~networks & _of_setting(scores, compared, "any"))


def _of_setting(scores: pd.DataFrame, values: pd.Series, summary: str) -> pd.Series:
    """``summary`` of ``values`` over each setting of a data set, in every row of it."""
    return values.groupby([scores["dataset"], scores["setting"]]).transform(summary)


def _rows(scores: pd.DataFrame, layout: TableLayout, plan: TablePlan) -> Iterator[TableRow]:
    defined = scores.dropna(subset=["value"])
    groups = ["dataset", "setting", "method", "learning", "metric", "variant", "estimate", *LINEAGE]
    for names, values in defined.groupby(groups):
        group = dict(zip(groups, names, strict=True))
        summary = summarise(
            values,
            # One seed per data set and setting: methods are compared on the same resamples.
            rng=numpy_rng(plan.study_seed, "bootstrap", group["dataset"], group["setting"]),
            resamples=plan.evaluation.bootstrap_resamples,
            confidence=plan.evaluation.confidence,
        )
        yield _row(group, summary, _spread(values), layout, plan)


def _spread(values: pd.DataFrame) -> float | None:
    """Mean over trainings of the spread between samples; None where one sample was drawn."""
    spreads = values.groupby("replicate")["spread_to_error"].first()
    return None if spreads.isna().all() else float(spreads.mean())


def _row(
    group: Mapping[str, str],
    summary: Summary,
    spread: float | None,
    layout: TableLayout,
    plan: TablePlan,
) -> TableRow:
    setting = group["setting"]
    if layout.published_setting is not None and setting in plan.published_settings:
        setting = layout.published_setting
    method, metric = group["method"], group["metric"]
    cell = _published_setting(layout, setting, group["learning"])
    key = PublishedKey(layout.table, group["dataset"], cell, method, metric)
    comparable = group["variant"] == PAPER.name and _is_published(group["dataset"], plan)
    published = published_values().get(key) if comparable else None
    cells: dict[str, Any] = {**group, "setting": setting, **vars(summary)}
    return TableRow(
        table=layout.table,
        iterations=_iterations(group, plan),
        metric_id=metric_of(metric, group["variant"]).id(
            paper_window_pixels=plan.evaluation.paper_window_pixels
        ),
        spread_to_error=spread,
        protocol=f"{plan.protocol}: {plan.methods[method]}{_spread_in_words(spread)}",
        paper_mean=published.mean if published else None,
        paper_std=published.std if published else None,
        paper_doubt=published.doubt if published else "",
        **cells,
    )


def _is_published(dataset: str, plan: TablePlan) -> bool:
    """Whether it is of the kind of the published data set of that name."""
    return PUBLISHED_DATASETS.get(dataset) == plan.datasets[dataset]


def _spread_in_words(spread: float | None) -> str:
    if spread is None:
        return ""
    return f"; samples spread by {spread:.2f} of their error (true samples of the posterior: 1)"


def _iterations(group: Mapping[str, str], plan: TablePlan) -> str:
    if group["method"] not in plan.trained:
        return "-"
    of_methods = plan.iterations.get(group["dataset"], {})
    return of_methods.get(group["method"], {}).get(group["learning"], "-")


def _published_setting(layout: TableLayout, setting: str, learning: str) -> str:
    if not layout.compares_learning:
        return setting
    return f"{setting}/{(layout.regimes or {}).get(learning, learning)}"


def _order(row: TableRow, layout: TableLayout, plan: TablePlan) -> tuple[Any, ...]:
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


def _check_names(scores: pd.DataFrame, plan: TablePlan) -> None:
    metrics = {f"{metric.name}/{metric.variant.name}" for metric in METRICS}
    found = scores["metric"] + "/" + scores["variant"]
    for what, names, known in (
        ("method", scores["method"], plan.methods),
        ("data set", scores["dataset"], plan.datasets),
        ("metric", found, metrics),
    ):
        if unknown := sorted(set(names) - set(known)):
            raise InputError(
                f"scores of the unknown {what} {unknown[0]!r}; known: {', '.join(sorted(known))}. "
                "Leave those scores out."
            )


def require_same_slices(scores: pd.DataFrame, *, also: Sequence[str] = ()) -> None:
    """Every slice once per (method, replicate, ..., ``also``), and the same slices for all methods."""
    run = ["dataset", "setting", "method", "learning", "replicate", "estimate", "metric", "variant"]
    run += also
    repeated = scores.duplicated([*run, "subject", "key"])
    if repeated.any():
        raise InputError(
            f"a slice was scored twice: {dict(scores.loc[repeated, [*run, 'key']].iloc[0])}."
        )
    for (dataset, setting), block in scores.groupby(["dataset", "setting"]):
        slices = block.groupby(["method", "learning", "replicate", "estimate", *also])["key"].agg(
            frozenset
        )
        differing = slices[slices != slices.iloc[0]]
        if len(differing):
            raise InputError(
                f"{dataset}/{setting}: {differing.index[0]} was scored on other slices than "
                f"{slices.index[0]}; they cannot be compared. Make the older scores again."
            )


def require_one_lineage(scores: pd.DataFrame) -> None:
    """One origin for each data set; different ones may have different origins.

    Settings of scans without T1, to which nothing is registered, may stand beside registered ones.
    """
    for dataset, block in scores.groupby("dataset"):
        for column in LINEAGE:
            if len(found := sorted({*block[column]} - {UNREGISTERED})) > 1:
                raise InputError(
                    f"data set {dataset!r} would mix the {column} values {', '.join(found)}; "
                    "delete the older scores and run again."
                )
