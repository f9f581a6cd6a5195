"""Print and draw each table by itself."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import groupby
from pathlib import Path
from typing import TypeVar

from quietpet.errors import InputError
from quietpet.evaluation.drawing import save
from quietpet.evaluation.figure import draw_table
from quietpet.evaluation.latex import latex
from quietpet.evaluation.layouts import file_stem
from quietpet.evaluation.printed import printed_tables, wide_cells, wide_columns
from quietpet.evaluation.scoring import SCORE_COLUMNS
from quietpet.evaluation.table_plan import plan_of
from quietpet.evaluation.tables import tabulate
from quietpet.files.named import Files
from quietpet.files.rates import read_rate_trials
from quietpet.files.scores import read_scores
from quietpet.files.text import write_csv, write_json, write_text
from quietpet.jobs.evaluation import ExportJob
from quietpet.provenance import Stopwatch, provenance

Of = TypeVar("Of")


def run(job: ExportJob, inputs: Files, outputs: Files) -> None:
    """Read ``scores``; write each table that is asked for, and ``provenance``.

    A file is called after its table: ``csv`` and ``latex`` table1.csv and .tex for Table 1, ``figure``
    and ``svg`` table1.png and .svg. ``rate`` as in :mod:`quietpet.stages.tables`.

    Raises:
        InputError: a file is called after a table that has no rows.
    """
    watch = Stopwatch()
    plan = plan_of(dict(job), {path: read_rate_trials(path) for path in inputs.any("rate")})
    rows = tabulate(read_scores(inputs.many("scores"), SCORE_COLUMNS), plan=plan).rows
    printed = printed_tables(rows, plan.datasets)
    drawn = {file_stem(table): list(of) for table, of in groupby(rows, key=lambda row: row.table)}
    vector = {path.stem: path for path in outputs.any("svg")}
    for name in ("csv", "latex", "figure", "svg"):
        for path in outputs.any(name):
            _named(printed, path)
    for path in outputs.any("csv"):
        table = _named(printed, path)
        columns = wide_columns(table)
        write_csv(path, [column.key for column in columns], wide_cells(table, columns))
    for path in outputs.any("latex"):
        write_text(path, latex(_named(printed, path), confidence=plan.evaluation.confidence))
    for path in outputs.any("figure"):
        save(draw_table(_named(drawn, path)), png=path, svg=vector.get(path.stem))
    if sidecar := outputs.get("provenance"):
        write_json(
            sidecar,
            provenance("export", settings=job.model_dump(), inputs=inputs.all(), watch=watch),
        )


def _named(tables: Mapping[str, Of], path: Path) -> Of:
    if path.stem not in tables:
        raise InputError(
            f"{path}: there is no table {path.stem}; the scores make {', '.join(tables)}. Name the "
            "file after one of them."
        )
    return tables[path.stem]
