"""Tables of the report and the page: methods down, metrics across, published values beside ours."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import groupby

from quietpet.evaluation.comparison import PAPER, QUANTITATIVE, VARIANTS, Variant
from quietpet.evaluation.metric import Metric
from quietpet.evaluation.metrics import METRICS, metric_of
from quietpet.evaluation.tables import TableRow
from quietpet.evaluation.told import simulated
from quietpet.files.sections import Cell, Column, Table, cell

PUBLISHED_METRICS = ("psnr_db", "ssim", "nmse")

SHOWN_VARIANTS = (QUANTITATIVE, *(variant for variant in VARIANTS if variant != QUANTITATIVE))
"""The one that ranks methods first."""

_NAMES = (
    Column(key="method", label="Method"),
    Column(key="learning", label="Learning"),
    Column(key="iterations", label="Iterations"),
    Column(key="estimate", label="Estimate"),
)


def short_table(rows: Sequence[TableRow], published: Mapping[tuple[str, ...], TableRow]) -> Table:
    """PSNR, SSIM and NMSE of one setting, each with the published value behind it."""
    columns = [_NAMES[0], _NAMES[1], _NAMES[3]]
    for name in PUBLISHED_METRICS:
        columns.append(_column(metric_of(name, QUANTITATIVE.name)))
        if any(place_of(row) in published for row in rows if row.metric == name):
            paper = metric_of(name, PAPER.name)
            columns += [_published_column(paper), _difference_column(paper)]
    cells = []
    for _, members in groupby(rows, key=_run):
        by_metric = {row.metric: row for row in members}
        row = _row(by_metric)
        for name in PUBLISHED_METRICS:
            if name in by_metric and (found := published.get(place_of(by_metric[name]))):
                row |= _published(found)
        cells.append(_only(row, columns))
    return Table(caption=_setting_in_words(rows[0]), columns=tuple(columns), rows=tuple(cells))


def grid(variant: Variant, rows: Sequence[TableRow]) -> Table:
    """Methods (and estimates) down, metrics across."""
    found = {row.metric for row in rows}
    metrics = [metric for metric in METRICS if metric.variant == variant and metric.name in found]
    columns = [*_NAMES]
    for metric in metrics:
        columns.append(_column(metric))
        if variant == PAPER and any(
            row.metric == metric.name and row.paper_mean is not None for row in rows
        ):
            columns += [_published_column(metric), _difference_column(metric)]
    columns += [
        Column(key="spread_to_error", label="Spread/error", digits=2),
        Column(key="seeds", label="Seeds"),
        Column(key="seed_std", label="PSNR between seeds", unit="± dB", digits=2),
    ]
    cells = []
    for _, members in groupby(rows, key=_run):
        by_metric = {row.metric: row for row in members}
        row = _row(by_metric)
        for each in by_metric.values():
            if variant == PAPER and each.paper_mean is not None:
                row |= _published(each)
        cells.append(_only(row, columns))
    return Table(
        caption=_setting_in_words(rows[0]),
        columns=tuple(columns),
        rows=tuple(cells),
        variant=variant.name,
    )


def _row(by_metric: Mapping[str, TableRow]) -> dict[str, Cell]:
    """One method: its names, and each metric with spread and interval."""
    first = next(iter(by_metric.values()))
    psnr = by_metric.get("psnr_db")
    cells: dict[str, Cell] = {
        "method": first.method,
        "learning": first.learning,
        "iterations": first.iterations,
        "estimate": first.estimate,
        "spread_to_error": first.spread_to_error,
        "seeds": first.n_replicates,
        "seed_std": psnr.seed_std if psnr else None,
    }
    for name, row in by_metric.items():
        values = {"": row.mean, "_std": row.std, "_low": row.ci_low, "_high": row.ci_high}
        cells |= {f"{name}{ending}": cell(value) for ending, value in values.items()}
        cells[f"{name}_best"] = row.best or None
    return cells


def _column(metric: Metric) -> Column:
    name = metric.name
    return Column(
        key=name,
        label=metric.label,
        digits=metric.digits,
        spread=f"{name}_std",
        low=f"{name}_low",
        high=f"{name}_high",
        mark=f"{name}_best",
    )


def _published_column(metric: Metric) -> Column:
    key = f"{metric.name}_published"
    return Column(
        key=key, label=f"{metric.label}, published", digits=metric.digits, spread=f"{key}_std",
        mark=f"{key}_doubt",
    )  # fmt: skip


def _difference_column(metric: Metric) -> Column:
    return Column(
        key=f"{metric.name}_difference", label=f"{metric.label}, ours minus published",
        digits=metric.digits, signed=True,
    )  # fmt: skip


def _published(row: TableRow) -> dict[str, Cell]:
    key = f"{row.metric}_published"
    doubt = "†" if row.paper_doubt else None
    return {
        key: row.paper_mean,
        f"{key}_std": row.paper_std,
        f"{key}_doubt": doubt,
        f"{row.metric}_difference": None if row.paper_difference is None else cell(row.paper_difference),
    }


def _only(row: dict[str, Cell], columns: Iterable[Column]) -> dict[str, Cell]:
    """What the columns show of a row."""
    shown = {key for column in columns for key in column.keys}
    return {key: value for key, value in row.items() if key in shown}


def _setting_in_words(row: TableRow) -> str:
    return (
        f"{row.dataset}{simulated(row.data_source)}, setting `{row.setting}`: {row.n_slices} slices of "
        f"{row.n_subjects} test subject(s); data source {row.data_source}, projector {row.projector}, "
        f"registration {row.registration}"
    )


def _run(row: TableRow) -> tuple[str, str, str]:
    return row.method, row.learning, row.estimate


def place_of(row: TableRow) -> tuple[str, ...]:
    """What a row is about, whatever its variant."""
    return (row.table, row.dataset, row.setting, *_run(row), row.metric)
