"""Aggregate all scores into the tables, a page to read and a figure."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from quietpet.errors import InputError
from quietpet.evaluation.figure import draw
from quietpet.evaluation.readable import render
from quietpet.evaluation.sampling import plan_of
from quietpet.evaluation.scoring import SCORE_COLUMNS
from quietpet.evaluation.tables import TABLE_COLUMNS, TablePlan, assemble
from quietpet.evaluation.with_without_t1 import T1_COLUMNS, compare_t1, render_t1
from quietpet.files.atomic import atomic_path
from quietpet.files.named import Files
from quietpet.files.rates import read_rate_trials
from quietpet.files.scores import read_scores
from quietpet.files.text import read_json, read_text, write_csv, write_json, write_text
from quietpet.jobs.evaluation import TablesJob
from quietpet.provenance import Stopwatch, provenance


def run(job: TablesJob, inputs: Files, outputs: Files) -> None:
    """Read ``scores``; write ``tables``, ``readable``, ``figure``.

    If asked for, also ``with_without_t1``, a table of its own, and ``provenance``.

    ``readable`` also shows each ``plan`` of quality against sampling steps, and the pages ``robustness``
    and ``cohorts``, if there are any. ``rate`` are the files of methods whose learning rate was chosen.
    """
    watch = Stopwatch()
    plan = TablePlan(**{**dict(job), "methods": _described(job, inputs.any("rate"))})
    scores = read_scores(inputs.many("scores"), SCORE_COLUMNS)
    rows = assemble(scores, plan=plan)
    with_without_t1 = compare_t1(scores, plan=plan)
    write_csv(outputs.one("tables"), TABLE_COLUMNS, (row.cells() for row in rows))
    sampling = [plan_of(read_json(path)) for path in inputs.any("plan")]
    pages = (*inputs.any("robustness"), *inputs.any("cohorts"))
    compared = render_t1(with_without_t1, rates_chosen=bool(inputs.any("rate")))
    sections = [compared, *(read_text(path).strip() for path in pages)]
    write_text(outputs.one("readable"), render(rows, plan=plan, sampling=sampling, sections=sections))
    if pairs := outputs.get("with_without_t1"):
        write_csv(pairs, T1_COLUMNS, (row.cells() for row in with_without_t1))
    with atomic_path(outputs.one("figure")) as partial:
        draw(rows).savefig(partial, format="png", dpi=150)
    if sidecar := outputs.get("provenance"):
        write_json(
            sidecar,
            provenance("tables", settings=job.model_dump(), inputs=inputs.all(), watch=watch),
        )


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
