"""From score rows to table rows: checks, statistics, and the published value beside ours."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from quietpet.errors import InputError
from quietpet.evaluation.cells import Cell, cells_of, runs_of
from quietpet.evaluation.comparison import PAPER, VARIANTS
from quietpet.evaluation.layouts import PUBLISHED_DATASETS, TableLayout, layouts, shown
from quietpet.evaluation.metrics import METRICS, metric_of
from quietpet.evaluation.pairs import Compared, PairRow, compare, key_of
from quietpet.evaluation.published import PublishedKey, PublishedValue, published_values
from quietpet.evaluation.rows import BySubject, Row, by_subject, columns_of
from quietpet.evaluation.scoring import LINEAGE
from quietpet.evaluation.spread import LITTLE_SPREAD, LITTLE_SPREAD_BELOW, spreads_little
from quietpet.evaluation.statistics import Summary, summarise
from quietpet.evaluation.table_plan import TablePlan, order_in_table
from quietpet.files.lineage import UNREGISTERED


@dataclass(frozen=True, kw_only=True)
class TableRow(Row):
    """One row of ``tables.csv``: the fields are its columns, None is an empty cell.

    ``mean`` to ``n_replicates`` are those of :class:`quietpet.evaluation.statistics.Summary`;
    ``subject_values`` the means of the subjects, which the
    file has of few. ``iterations`` are those of each stage of learning, one
    after the other; "-" where nothing is trained. ``against`` says in words what the row is against the
    method that all are compared with, ``best`` whether it is shown to be better than every other of its
    column. ``spread_to_error`` as in :func:`quietpet.evaluation.spread.spread_to_error`, mean over
    trainings. ``paper_difference`` is ``mean`` minus the published one, and ``paper_doubt`` says what
    contradicts that. ``metric_id`` fixes what was measured: see
    :meth:`quietpet.evaluation.metric.Metric.id`.
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
    subject_mean: float
    ci_low: float | None
    ci_high: float | None
    subject_values: BySubject
    seed_std: float | None
    subject_std: float | None
    training_std: float | None
    residual_std: float | None
    n_subjects: int
    n_slices: int
    n_replicates: int
    against: str
    best: str
    spread_to_error: float | None
    paper_mean: float | None
    paper_std: float | None
    paper_difference: float | None
    paper_doubt: str
    protocol: str
    data_source: str
    projector: str
    registration: str


TABLE_COLUMNS = columns_of(TableRow)


@dataclass(frozen=True)
class Tabulated:
    """All tables of a study, and the differences to the chosen method behind their words."""

    rows: tuple[TableRow, ...]
    pairs: tuple[PairRow, ...]


def tabulate(scores: pd.DataFrame, *, plan: TablePlan) -> Tabulated:
    """Rows of every table that ``scores`` (columns of a score file) has data for, in table order.

    Raises InputError for unknown methods or data sets, slices scored twice, methods scored on different
    slices, and data sets that would mix data sources, projectors or registrations.
    """
    _check_names(scores, plan)
    scores = against_standard(scores)
    require_same_slices(scores)
    require_one_lineage(scores)
    cells = list(cells_of(scores))
    runs = list(runs_of(scores))
    summaries = [summarise(cell.found, confidence=plan.evaluation.confidence) for cell in cells]
    rows: list[TableRow] = []
    pairs: list[PairRow] = []
    for layout in layouts(plan.datasets):
        of_table = shown(layout, runs, plan)
        inside = [each for each in zip(cells, summaries, strict=True) if each[0].run in of_table]
        compared = compare([cell for cell, _ in inside], layout, plan)
        pairs += sorted(compared.rows, key=lambda row: order_in_table(row, layout, plan))
        found = [_row(cell, summary, compared, layout, plan) for cell, summary in inside]
        rows += sorted(found, key=lambda row: order_in_table(row, layout, plan))
    return Tabulated(rows=tuple(rows), pairs=tuple(pairs))


def assemble(scores: pd.DataFrame, *, plan: TablePlan) -> tuple[TableRow, ...]:
    """The rows of :func:`tabulate`."""
    return tabulate(scores, plan=plan).rows


def against_standard(scores: pd.DataFrame) -> pd.DataFrame:
    """The scores in which images are compared with the standard dose: those of the tables."""
    return scores[scores["variant"].isin([variant.name for variant in VARIANTS])]


BEST = "best"
"""In the column of that name."""


def _row(
    cell: Cell, summary: Summary, compared: Compared, layout: TableLayout, plan: TablePlan
) -> TableRow:
    published = _published(cell, layout, plan)
    setting = layout.setting_in_table(cell.run.setting, plan.published_settings)
    cells: dict[str, Any] = {**cell.names, "setting": setting, **vars(summary)}
    return TableRow(
        table=layout.table,
        iterations=_iterations(cell, plan),
        metric_id=metric_of(cell.names["metric"], cell.names["variant"]).id(
            paper_window_pixels=plan.evaluation.paper_window_pixels
        ),
        subject_values=by_subject(cell.found.names, cell.found.by_subject.mean(axis=1)),
        against=compared.words.get(key_of(cell), ""),
        best=BEST if key_of(cell) in compared.best else "",
        spread_to_error=cell.spread,
        protocol=f"{plan.protocol}: {plan.methods[cell.run.method]}{_spread_in_words(cell.spread)}",
        paper_mean=published.mean if published else None,
        paper_std=published.std if published else None,
        paper_difference=summary.mean - published.mean if published else None,
        paper_doubt=published.doubt if published else "",
        **cells,
    )


def _published(cell: Cell, layout: TableLayout, plan: TablePlan) -> PublishedValue | None:
    """The published value of a cell: of the variant that has any, and of a data set of that kind."""
    variant, metric = cell.metric
    dataset, setting, method, learning = cell.run
    if variant != PAPER.name or PUBLISHED_DATASETS.get(dataset) != plan.datasets[dataset]:
        return None
    named = layout.setting_in_table(setting, plan.published_settings)
    if layout.compares_learning:
        named = f"{named}/{(layout.regimes or {}).get(learning, learning)}"
    return published_values().get(PublishedKey(layout.table, dataset, named, method, metric))


def _spread_in_words(spread: float | None) -> str:
    if spread is None:
        return ""
    verdict = f", below {LITTLE_SPREAD_BELOW:g}: {LITTLE_SPREAD}" if spreads_little(spread) else ""
    return f"; samples spread by {spread:.2f} of their error (true samples of the posterior: 1){verdict}"


def _iterations(cell: Cell, plan: TablePlan) -> str:
    dataset, _, method, learning = cell.run
    if method not in plan.trained:
        return "-"
    return plan.iterations.get(dataset, {}).get(method, {}).get(learning, "-")


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
            f"a slice was scored twice: {dict(scores.loc[repeated, [*run, 'key']].iloc[0])}. "
            "Two files of scores hold it: delete both and run again."
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
