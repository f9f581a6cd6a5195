"""Stage robustness_table: scores with wrong T1 -> a table, a page to read and a figure."""

from __future__ import annotations

from quietpet.evaluation.robustness import (
    ROBUSTNESS_COLUMNS,
    ROBUSTNESS_SCORE_COLUMNS,
    RobustnessPlan,
    robustness_rows,
)
from quietpet.evaluation.robustness_figure import draw_robustness
from quietpet.evaluation.robustness_page import render_robustness
from quietpet.evaluation.scoring import SCORE_COLUMNS
from quietpet.files.atomic import atomic_path
from quietpet.files.named import Files
from quietpet.files.scores import read_scores
from quietpet.files.text import write_csv, write_json, write_text
from quietpet.jobs.robustness import RobustnessTableJob
from quietpet.provenance import Stopwatch, provenance


def run(job: RobustnessTableJob, inputs: Files, outputs: Files) -> None:
    """Read ``robustness`` and ``scores``; write ``table`` (CSV), ``readable`` and ``figure``.

    ``robustness`` are of methods that look at T1, ``scores`` of those that never do. ``provenance`` is
    written if asked for.
    """
    watch = Stopwatch()
    rows = robustness_rows(
        read_scores(inputs.many("robustness"), ROBUSTNESS_SCORE_COLUMNS),
        read_scores(inputs.many("scores"), SCORE_COLUMNS),
        plan=RobustnessPlan(**dict(job)),
    )
    write_csv(outputs.one("table"), ROBUSTNESS_COLUMNS, (row.cells() for row in rows))
    write_text(outputs.one("readable"), render_robustness(rows) + "\n")
    with atomic_path(outputs.one("figure")) as partial:
        draw_robustness(rows).savefig(partial, format="png", dpi=150)
    if sidecar := outputs.get("provenance"):
        write_json(
            sidecar,
            provenance("robustness_table", settings=job.model_dump(), inputs=inputs.all(), watch=watch),
        )
