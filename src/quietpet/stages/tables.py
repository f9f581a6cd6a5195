"""Aggregate all scores into the tables, sections of the report and a page to read."""

from __future__ import annotations

from quietpet.evaluation.claims import claims_section
from quietpet.evaluation.layouts import file_stem
from quietpet.evaluation.pairs import PAIR_COLUMNS
from quietpet.evaluation.pairs_section import paired_section
from quietpet.evaluation.pairs_sentences import summary_sentences
from quietpet.evaluation.printed import printed_tables
from quietpet.evaluation.readable import render, tables_section
from quietpet.evaluation.scoring import SCORE_COLUMNS
from quietpet.evaluation.table_plan import plan_of
from quietpet.evaluation.tables import TABLE_COLUMNS, tabulate
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


def run(job: TablesJob, inputs: Files, outputs: Files) -> None:
    """Read ``scores``; write ``tables``, ``readable``.

    If asked for, also ``with_without_t1`` and ``paired``, tables of their own; ``tables_section``,
    ``paired_section`` and ``claim`` for the report; all tables in a ``workbook``; and ``provenance``.
    ``rate`` are the files of methods whose learning rate was chosen.
    """
    watch = Stopwatch()
    plan = plan_of(dict(job), {path: read_rate_trials(path) for path in inputs.any("rate")})
    scores = read_scores(inputs.many("scores"), SCORE_COLUMNS)
    tabulated = tabulate(scores, plan=plan)
    rows = tabulated.rows
    with_without_t1 = compare_t1(scores, plan=plan)
    write_csv(outputs.one("tables"), TABLE_COLUMNS, (row.cells() for row in rows))
    sentences = summary_sentences(tabulated.pairs, plan=plan)
    write_text(outputs.one("readable"), render(rows, plan=plan, sentences=sentences))
    if section := outputs.get("tables_section"):
        compared = t1_section(with_without_t1, rates_chosen=bool(inputs.any("rate")))
        # Of the step `export`, which is given the same scores.
        figures = {row.table: f"{file_stem(row.table)}.png" for row in rows}
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
    if workbook := outputs.get("workbook"):
        printed = printed_tables(rows, plan.datasets)
        write_workbook(workbook, sheets(list(printed.values()), notes=sheet_notes(plan)))
    if sidecar := outputs.get("provenance"):
        write_json(
            sidecar,
            provenance("tables", settings=job.model_dump(), inputs=inputs.all(), watch=watch),
        )
