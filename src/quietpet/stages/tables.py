"""Aggregate all scores into the tables, a page to read and a figure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import groupby
from pathlib import Path

from quietpet.errors import InputError
from quietpet.evaluation.figure import draw
from quietpet.evaluation.latex import latex
from quietpet.evaluation.layouts import file_stem, layouts
from quietpet.evaluation.pairs import PAIR_COLUMNS
from quietpet.evaluation.pairs_section import paired_section
from quietpet.evaluation.printed import PrintedTable, printed_table, wide_cells, wide_columns
from quietpet.evaluation.readable import render
from quietpet.evaluation.sampling import plan_of
from quietpet.evaluation.scoring import SCORE_COLUMNS
from quietpet.evaluation.table_plan import TablePlan
from quietpet.evaluation.tables import TABLE_COLUMNS, TableRow, tabulate
from quietpet.evaluation.with_without_t1 import T1_COLUMNS, compare_t1, render_t1
from quietpet.evaluation.workbook import sheet_notes, sheets
from quietpet.files.atomic import atomic_path
from quietpet.files.named import Files
from quietpet.files.rates import read_rate_trials
from quietpet.files.scores import read_scores
from quietpet.files.sections import write_section
from quietpet.files.text import read_json, read_text, write_csv, write_json, write_text
from quietpet.files.workbook import write_workbook
from quietpet.jobs.evaluation import TablesJob
from quietpet.provenance import Stopwatch, provenance


def run(job: TablesJob, inputs: Files, outputs: Files) -> None:
    """Read ``scores``; write ``tables``, ``readable``, ``figure``.

    If asked for, also ``with_without_t1`` and ``paired``, tables of their own, ``paired_section`` for
    the report, each table in a ``csv`` and a ``latex`` file, all in a ``workbook``, and ``provenance``.

    ``readable`` also shows each ``plan`` of quality against sampling steps, and the pages ``robustness``
    and ``cohorts``, if there are any. ``rate`` are the files of methods whose learning rate was chosen.
    """
    watch = Stopwatch()
    plan = TablePlan(**{**dict(job), "methods": _described(job, inputs.any("rate"))})
    scores = read_scores(inputs.many("scores"), SCORE_COLUMNS)
    tabulated = tabulate(scores, plan=plan)
    rows = tabulated.rows
    with_without_t1 = compare_t1(scores, plan=plan)
    write_csv(outputs.one("tables"), TABLE_COLUMNS, (row.cells() for row in rows))
    sampling = [plan_of(read_json(path)) for path in inputs.any("plan")]
    pages = (*inputs.any("robustness"), *inputs.any("cohorts"))
    compared = render_t1(with_without_t1, rates_chosen=bool(inputs.any("rate")))
    sections = [compared, *(read_text(path).strip() for path in pages)]
    write_text(outputs.one("readable"), render(rows, plan=plan, sampling=sampling, sections=sections))
    if pairs := outputs.get("with_without_t1"):
        write_csv(pairs, T1_COLUMNS, (row.cells() for row in with_without_t1))
    if paired := outputs.get("paired"):
        write_csv(paired, PAIR_COLUMNS, (row.cells() for row in tabulated.pairs))
    if section := outputs.get("paired_section"):
        write_section(section, paired_section(tabulated.pairs, rows, plan=plan))
    _export(rows, plan, outputs)
    with atomic_path(outputs.one("figure")) as partial:
        draw(rows).savefig(partial, format="png", dpi=150)
    if sidecar := outputs.get("provenance"):
        write_json(
            sidecar,
            provenance("tables", settings=job.model_dump(), inputs=inputs.all(), watch=watch),
        )


def _export(rows: Sequence[TableRow], plan: TablePlan, outputs: Files) -> None:
    """Each table as a paper prints it."""
    titles = {layout.table: layout.title for layout in layouts(plan.datasets)}
    printed = {
        file_stem(table): printed_table(table, titles[table], list(members))
        for table, members in groupby(rows, key=lambda row: row.table)
    }
    for path in outputs.any("csv"):
        table = _named(printed, path)
        columns = wide_columns(table)
        write_csv(path, [column.key for column in columns], wide_cells(table, columns))
    for path in outputs.any("latex"):
        write_text(path, latex(_named(printed, path), confidence=plan.evaluation.confidence))
    if workbook := outputs.get("workbook"):
        write_workbook(workbook, sheets(list(printed.values()), notes=sheet_notes(plan)))


def _named(printed: Mapping[str, PrintedTable], path: Path) -> PrintedTable:
    if path.stem not in printed:
        raise InputError(
            f"{path}: there is no table {path.stem}; the scores make {', '.join(printed)}. Name the "
            "file after one of them."
        )
    return printed[path.stem]


def _described(job: TablesJob, rates: Iterable[Path]) -> dict[str, str]:
    """Each method in words, with the learning rate that was chosen for it."""
    methods = dict(job.methods)
    for path in rates:
        found = read_rate_trials(path)
        if found.method not in methods:
            raise InputError(
                f"{path}: is of the unknown method {found.method!r}; known: {', '.join(methods)}. "
                "Leave this file out."
            )
        methods[found.method] += f"; {found.describe()}"
    return methods
