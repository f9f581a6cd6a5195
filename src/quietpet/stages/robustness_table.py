"""Stage robustness_table: scores with wrong T1 -> a table, a section of the report and a figure."""

from __future__ import annotations

from quietpet.evaluation.drawing import save
from quietpet.evaluation.robustness import (
    ROBUSTNESS_COLUMNS,
    ROBUSTNESS_SCORE_COLUMNS,
    RobustnessPlan,
    robustness_rows,
)
from quietpet.evaluation.robustness_figure import draw_robustness
from quietpet.evaluation.robustness_section import robustness_section
from quietpet.evaluation.scoring import SCORE_COLUMNS
from quietpet.files.named import Files
from quietpet.files.scores import read_scores
from quietpet.files.sections import write_section
from quietpet.files.text import write_csv, write_json
from quietpet.jobs.robustness import RobustnessTableJob
from quietpet.provenance import Stopwatch, provenance


def run(job: RobustnessTableJob, inputs: Files, outputs: Files) -> None:
    """Read ``robustness`` and ``scores``; write ``table`` (CSV), ``section``, ``figure`` and ``svg``.

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
    figure = outputs.one("figure")
    save(draw_robustness(rows), png=figure, svg=outputs.get("svg"))
    write_section(outputs.one("section"), robustness_section(rows, figure=figure.name))
    if sidecar := outputs.get("provenance"):
        write_json(
            sidecar,
            provenance("robustness_table", settings=job.model_dump(), inputs=inputs.all(), watch=watch),
        )
