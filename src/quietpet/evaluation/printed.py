"""Tables as a paper prints them: a row for each method, metrics across."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import NamedTuple

from quietpet.config.datasets import DatasetKind
from quietpet.evaluation.layouts import file_stem, layouts
from quietpet.evaluation.metric import Metric
from quietpet.evaluation.metrics import METRICS
from quietpet.evaluation.tables import TableRow
from quietpet.evaluation.told import title_of, warnings_of
from quietpet.files.text import csv_cell

Value = str | float | int | None


class MetricKey(NamedTuple):
    """Which column."""

    variant: str
    metric: str


@dataclass(frozen=True, kw_only=True)
class PrintedRow:
    """One method in one setting, its cells by variant and metric."""

    dataset: str
    setting: str
    method: str
    learning: str
    estimate: str
    cells: Mapping[MetricKey, TableRow]

    @property
    def first(self) -> TableRow:
        """Any cell: what all have in common."""
        return next(iter(self.cells.values()))


@dataclass(frozen=True, kw_only=True)
class PrintedTable:
    """One table: ``title`` says where scans are simulated."""

    table: str
    title: str
    rows: tuple[PrintedRow, ...]

    @property
    def metrics(self) -> tuple[Metric, ...]:
        """Metrics that any row has, in the order of the registry."""
        found = {key for row in self.rows for key in row.cells}
        return tuple(each for each in METRICS if (each.variant.name, each.name) in found)

    @property
    def settings(self) -> Iterator[tuple[tuple[str, str], list[PrintedRow]]]:
        """The rows of each (data set, setting)."""
        for place, members in groupby(self.rows, key=lambda row: (row.dataset, row.setting)):
            yield place, list(members)

    @property
    def data_notes(self) -> tuple[str, ...]:
        """What must be known of the data before the numbers."""
        found = warnings_of(row.first.data_source for row in self.rows)
        return tuple(f"{text[0].upper()}{text[1:]}" for text in found)

    @property
    def notes(self) -> tuple[str, ...]:
        """The same, and what contradicts published values."""
        return (*self.data_notes, *doubt_notes(cell for row in self.rows for cell in row.cells.values()))


def doubt_notes(cells: Iterable[TableRow]) -> tuple[str, ...]:
    """What contradicts the published values of ``cells``, each with its methods."""
    doubts: dict[str, dict[str, None]] = {}
    for cell in cells:
        if cell.paper_doubt:
            doubts.setdefault(cell.paper_doubt, {})[cell.method] = None
    return tuple(f"† Published, {', '.join(names)}: {doubt}." for doubt, names in doubts.items())


def printed_table(table: str, title: str, rows: Sequence[TableRow]) -> PrintedTable:
    """Of the ``rows`` of one table, in table order."""
    grouped = groupby(
        rows, key=lambda row: (row.dataset, row.setting, row.method, row.learning, row.estimate)
    )
    return PrintedTable(
        table=table,
        title=title_of(title, (row.data_source for row in rows)),
        rows=tuple(
            PrintedRow(
                dataset=dataset, setting=setting, method=method, learning=learning, estimate=estimate,
                cells={MetricKey(row.variant, row.metric): row for row in members},
            )
            for (dataset, setting, method, learning, estimate), members in grouped
        ),
    )  # fmt: skip


def printed_tables(
    rows: Sequence[TableRow], datasets: Mapping[str, DatasetKind]
) -> dict[str, PrintedTable]:
    """Each table of ``rows``, which are in table order, by the name of its files."""
    titles = {layout.table: layout.title for layout in layouts(datasets)}
    return {
        file_stem(table): printed_table(table, titles[table], list(members))
        for table, members in groupby(rows, key=lambda row: row.table)
    }


_NAMES = ("dataset", "setting", "method", "learning", "estimate")
_COUNTS = ("n_subjects", "n_slices", "n_replicates")
_VALUES = {"mean": "mean", "std": "SD", "ci_low": "interval, low", "ci_high": "interval, high",
           "best": "best", "against": "against"}  # fmt: skip
_PUBLISHED = {"paper_mean": "published", "paper_std": "published SD", "paper_difference": "difference",
              "paper_doubt": "published value in doubt"}  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class WideColumn:
    """A column of a table with a row for each method; ``metric`` is None where it names the row."""

    key: str
    heading: str
    field: str
    metric: Metric | None = None

    def value(self, row: PrintedRow) -> Value:
        """What stands there, a number as a number; None: nothing."""
        if self.metric is None:
            return getattr(row if self.field in _NAMES else row.first, self.field)
        cell = row.cells.get(MetricKey(self.metric.variant.name, self.metric.name))
        value = None if cell is None else getattr(cell, self.field)
        return None if value == "" else value


def wide_columns(table: PrintedTable) -> tuple[WideColumn, ...]:
    """Names first, then for each metric its numbers and words, then what all metrics have in common."""
    columns = [WideColumn(key=name, heading=name, field=name) for name in (*_NAMES, *_COUNTS)]
    for metric in table.metrics:
        key = MetricKey(metric.variant.name, metric.name)
        published = any(row.cells[key].paper_mean is not None for row in table.rows if key in row.cells)
        for field, words in {**_VALUES, **(_PUBLISHED if published else {})}.items():
            columns.append(
                WideColumn(
                    key=f"{metric.variant.name}_{metric.name}_{field}",
                    heading=f"{metric.label}, {metric.variant.name}: {words}",
                    field=field,
                    metric=metric,
                )
            )
    return tuple(columns)


def wide_cells(table: PrintedTable, columns: Sequence[WideColumn]) -> Iterator[dict[str, str]]:
    """The rows as text, numbers to six significant digits."""
    for row in table.rows:
        yield {column.key: csv_cell(column.value(row)) for column in columns}
