"""Aggregate all scores into the tables, sections of the report, a page to read and figures."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import groupby
from pathlib import Path
from typing import TypeVar

from quietpet.errors import InputError
from quietpet.evaluation.claims import claims_section
from quietpet.evaluation.drawing import save
from quietpet.evaluation.figure import draw_table
from quietpet.evaluation.latex import latex
from quietpet.evaluation.layouts import default_reference, file_stem, layouts
from quietpet.evaluation.pairs import PAIR_COLUMNS
from quietpet.evaluation.pairs_section import paired_section, summary_sentences
from quietpet.evaluation.printed import printed_table, wide_cells, wide_columns
from quietpet.evaluation.readable import render, tables_section
from quietpet.evaluation.scoring import SCORE_COLUMNS
from quietpet.evaluation.table_plan import TablePlan
from quietpet.evaluation.tables import TABLE_COLUMNS, TableRow, tabulate
from quietpet.evaluation.with_without_t1 import T1_COLUMNS, compare_t1
from quietpet.evaluation.with_without_t1_section import t1_section
from quietpet.evaluation.workbook import sheet_notes, sheets
from quietpet.files.named import Files
from quietpet.files.rates import read_rate_trials
from quietpet.files.scores import read_scores
from quietpet.files.sections import write_section
from quietpet.files.text import write_csv, write_json, write_text
from quietpet.files.workbook import write_workbook
from quietpet.jobs.evaluation import TablesJob
from quietpet.provenance import Stopwatch, provenance

Of = TypeVar("Of")


def run(job: TablesJob, inputs: Files, outputs: Files) -> None:
    """Read ``scores``; write ``tables``, ``readable``.

    If asked for, also ``with_without_t1`` and ``paired``, tables of their own; ``tables_section``,
    ``paired_section`` and ``claim`` for the report; each table in a ``csv``, a ``latex`` and a
    ``figure`` (PNG) file with its ``svg``; all in a ``workbook``; and ``provenance``. ``rate`` are the
    files of methods whose learning rate was chosen.
    """
    watch = Stopwatch()
    plan = _plan(job, inputs)
    scores = read_scores(inputs.many("scores"), SCORE_COLUMNS)
    tabulated = tabulate(scores, plan=plan)
    rows = tabulated.rows
    with_without_t1 = compare_t1(scores, plan=plan)
    figures = _figures(rows, outputs)
    write_csv(outputs.one("tables"), TABLE_COLUMNS, (row.cells() for row in rows))
    sentences = summary_sentences(tabulated.pairs, plan=plan)
    write_text(outputs.one("readable"), render(rows, plan=plan, sentences=sentences))
    if section := outputs.get("tables_section"):
        compared = t1_section(with_without_t1, rates_chosen=bool(inputs.any("rate")))
        shown = tables_section(
            rows, plan=plan, sentences=sentences, figures=figures, also=[compared] if compared else []
        )
        write_section(section, shown)
    if claim := outputs.get("claim"):
        write_section(claim, claims_section(rows, plan=plan))
    if pairs := outputs.get("with_without_t1"):
        write_csv(pairs, T1_COLUMNS, (row.cells() for row in with_without_t1))
    if paired := outputs.get("paired"):
        write_csv(paired, PAIR_COLUMNS, (row.cells() for row in tabulated.pairs))
    if section := outputs.get("paired_section"):
        write_section(section, paired_section(tabulated.pairs, rows, plan=plan))
    _export(rows, plan, outputs)
    if sidecar := outputs.get("provenance"):
        write_json(
            sidecar,
            provenance("tables", settings=job.model_dump(), inputs=inputs.all(), watch=watch),
        )


def _plan(job: TablesJob, inputs: Files) -> TablePlan:
    methods = _described(job, inputs.any("rate"))
    reference = job.reference or default_reference(job.methods, job.trained)
    return TablePlan(**{**dict(job), "methods": methods, "reference": reference})


def _figures(rows: Sequence[TableRow], outputs: Files) -> dict[str, str]:
    """Draw each table that a file is asked for of; names of the files by table.

    Raises:
        InputError: a file is named for a table that has no rows.
    """
    of_tables = {
        file_stem(table): list(members) for table, members in groupby(rows, key=lambda row: row.table)
    }
    vector = {path.stem: path for path in outputs.any("svg")}
    for path in (*outputs.any("figure"), *vector.values()):
        _named(of_tables, path)
    drawn = {}
    for path in outputs.any("figure"):
        members = of_tables[path.stem]
        save(draw_table(members), png=path, svg=vector.get(path.stem))
        drawn[members[0].table] = path.name
    return drawn


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


def _named(tables: Mapping[str, Of], path: Path) -> Of:
    if path.stem not in tables:
        raise InputError(
            f"{path}: there is no table {path.stem}; the scores make {', '.join(tables)}. Name the "
            "file after one of them."
        )
    return tables[path.stem]


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
