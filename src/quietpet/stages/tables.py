"""Aggregate all scores into the tables, sections of the report, a page to read and figures."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

import pandas as pd

from quietpet.errors import InputError
from quietpet.evaluation.drawing import save
from quietpet.evaluation.figure import draw_table, subject_means
from quietpet.evaluation.readable import claims_section, render, tables_section
from quietpet.evaluation.scoring import SCORE_COLUMNS
from quietpet.evaluation.tables import TABLE_COLUMNS, TablePlan, TableRow, assemble, file_stem
from quietpet.evaluation.with_without_t1 import T1_COLUMNS, compare_t1
from quietpet.evaluation.with_without_t1_section import t1_section
from quietpet.files.named import Files
from quietpet.files.rates import read_rate_trials
from quietpet.files.scores import read_scores
from quietpet.files.sections import write_section
from quietpet.files.text import write_csv, write_json, write_text
from quietpet.jobs.evaluation import TablesJob
from quietpet.provenance import Stopwatch, provenance


def run(job: TablesJob, inputs: Files, outputs: Files) -> None:
    """Read ``scores``; write ``tables``, ``readable``.

    If asked for, also ``section`` and ``claim`` for the report; ``figure`` and ``svg`` of each table,
    called as :func:`quietpet.evaluation.tables.file_stem` says; ``with_without_t1``, a table of its own,
    and ``provenance``. ``rate`` are the files of methods whose learning rate was chosen.
    """
    watch = Stopwatch()
    plan = TablePlan(**{**dict(job), "methods": _described(job, inputs.any("rate"))})
    scores = read_scores(inputs.many("scores"), SCORE_COLUMNS)
    rows = assemble(scores, plan=plan)
    with_without_t1 = compare_t1(scores, plan=plan)
    figures = _figures(rows, scores, plan, outputs)
    write_csv(outputs.one("tables"), TABLE_COLUMNS, (row.cells() for row in rows))
    write_text(outputs.one("readable"), render(rows, plan=plan))
    if section := outputs.get("section"):
        compared = t1_section(with_without_t1, rates_chosen=bool(inputs.any("rate")))
        also = [compared] if compared else []
        write_section(section, tables_section(rows, plan=plan, figures=figures, also=also))
    if claim := outputs.get("claim"):
        write_section(claim, claims_section(rows, plan=plan))
    if pairs := outputs.get("with_without_t1"):
        write_csv(pairs, T1_COLUMNS, (row.cells() for row in with_without_t1))
    if sidecar := outputs.get("provenance"):
        write_json(
            sidecar,
            provenance("tables", settings=job.model_dump(), inputs=inputs.all(), watch=watch),
        )


def _figures(
    rows: Sequence[TableRow], scores: pd.DataFrame, plan: TablePlan, outputs: Files
) -> dict[str, str]:
    """Draw each table that a file is asked for of; names of the files by table.

    Raises:
        InputError: a file is named for a table that has no rows.
    """
    asked = {path.stem: path for path in outputs.any("figure")}
    vector = {path.stem: path for path in outputs.any("svg")}
    tables = {file_stem(row.table): row.table for row in rows}
    for stem, path in {**vector, **asked}.items():
        if stem not in tables or stem not in asked:
            raise InputError(
                f"{path}: no table has rows for a figure of that name; those that have: "
                f"{', '.join(tables)}. Name a PNG for each SVG."
            )
    subjects = subject_means(scores, published_settings=plan.published_settings) if asked else {}
    for stem, path in asked.items():
        members = [row for row in rows if row.table == tables[stem]]
        save(draw_table(members, subjects), png=path, svg=vector.get(stem))
    return {tables[stem]: path.name for stem, path in asked.items()}


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
