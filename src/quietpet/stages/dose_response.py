"""Stage dose_response: scores at several doses -> tables, a section and figures."""

from __future__ import annotations

from quietpet.errors import InputError
from quietpet.evaluation.dose_figure import draw_doses
from quietpet.evaluation.dose_response import (
    DOSE_COLUMNS,
    Amount,
    DosePlan,
    dose_rows,
    dose_scores,
)
from quietpet.evaluation.dose_section import dose_section
from quietpet.evaluation.drawing import save
from quietpet.evaluation.scoring import SCORE_COLUMNS
from quietpet.evaluation.untreated_dose import EQUIVALENT_COLUMNS, equivalent_rows
from quietpet.files.named import Files
from quietpet.files.scores import read_scores
from quietpet.files.sections import write_section
from quietpet.files.text import write_csv, write_json
from quietpet.jobs.dose_response import DoseResponseJob
from quietpet.provenance import Stopwatch, provenance


def run(job: DoseResponseJob, inputs: Files, outputs: Files) -> None:
    """Read ``scores`` of all doses, and ``crossed`` of methods that learned at another dose.

    Write ``response`` and ``equivalent`` (CSV), the figure as ``png`` and ``svg``, ``section``
    and, if asked for, ``provenance``.
    """
    watch = Stopwatch()
    plan = DosePlan(
        **{**dict(job), "amounts": [Amount(**amount.model_dump()) for amount in job.amounts]}
    )
    crossed = inputs.any("crossed")
    scores = dose_scores(
        read_scores(inputs.many("scores"), SCORE_COLUMNS),
        read_scores(crossed, SCORE_COLUMNS) if crossed else None,
        plan=plan,
    )
    if not scores:
        raise InputError("none of the scores is of a dose of this study; make them again.")
    rows, equivalents = list(dose_rows(scores, plan=plan)), list(equivalent_rows(scores, plan=plan))
    write_csv(outputs.one("response"), DOSE_COLUMNS, (row.cells() for row in rows))
    write_csv(outputs.one("equivalent"), EQUIVALENT_COLUMNS, (row.cells() for row in equivalents))
    write_section(outputs.one("section"), dose_section(rows, equivalents, plan=plan))
    save(draw_doses(rows, equivalents, plan=plan), png=outputs.one("png"), svg=outputs.one("svg"))
    if sidecar := outputs.get("provenance"):
        write_json(
            sidecar,
            provenance(
                "dose_response",
                settings=job.model_dump(mode="json"),
                inputs=inputs.all(),
                watch=watch,
            ),
        )
