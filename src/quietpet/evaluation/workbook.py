"""All tables as the sheets of one workbook."""

from __future__ import annotations

from collections.abc import Sequence

from quietpet.evaluation.comparison import VARIANTS
from quietpet.evaluation.layouts import file_stem
from quietpet.evaluation.printed import MetricKey, PrintedTable, wide_columns
from quietpet.evaluation.table_plan import TablePlan
from quietpet.files.workbook import Sheet, SheetColumn

_NAMED_BY = 5
"""Columns that name a row: data set, setting, method, learning, estimate."""


def sheets(tables: Sequence[PrintedTable], *, notes: Sequence[str]) -> tuple[Sheet, ...]:
    """One for each table, called as its files are, and one of ``notes`` on all and on each."""
    about = [("all", note) for note in notes]
    about += [(file_stem(table.table), text) for table in tables for text in (table.title, *table.notes)]
    columns = (SheetColumn(heading="sheet"), SheetColumn(heading="note"))
    return (*map(_sheet, tables), Sheet(name="notes", columns=columns, rows=tuple(about)))


def sheet_notes(plan: TablePlan) -> tuple[str, ...]:
    """What the numbers of every sheet are."""
    confidence = plan.evaluation.confidence
    return (
        f"Mean and SD over test slices; interval of {confidence:.0%}, Student's t over the means of the "
        "test subjects.",
        f"against: beside {plan.reference}, paired by subject; best, in bold: better than every other "
        "row of the setting. What is said is shown over subjects, and over subjects and trainings, each "
        f"after Holm's correction, at level {1 - confidence:.2g}.",
        *(f"{variant.name}: {variant.description}." for variant in VARIANTS),
        "published: the value of the published table; difference: ours minus that.",
    )


def _sheet(table: PrintedTable) -> Sheet:
    columns = wide_columns(table)
    bold = {
        (number, place)
        for number, row in enumerate(table.rows)
        for place, column in enumerate(columns)
        if column.metric is not None
        and column.field == "mean"
        and (cell := row.cells.get(MetricKey(column.metric.variant.name, column.metric.name)))
        and cell.best
    }
    return Sheet(
        name=file_stem(table.table),
        columns=tuple(
            SheetColumn(heading=column.heading, digits=column.metric.digits if column.metric else None)
            for column in columns
        ),
        rows=tuple(tuple(column.value(row) for column in columns) for row in table.rows),
        bold=frozenset(bold),
        named_by=_NAMED_BY,
    )
