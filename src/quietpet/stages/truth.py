"""Errors of every method, and of the standard dose, to the true activity of phantoms."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from quietpet.evaluation.scoring import SCORE_COLUMNS, require_reference
from quietpet.evaluation.truth import TRUTH_COLUMNS, TruthPlan, standard_scores, truth_rows
from quietpet.evaluation.truth_section import truth_section
from quietpet.files.named import Files
from quietpet.files.packed import PackedName, ReferenceSlices
from quietpet.files.records import read_record
from quietpet.files.scores import read_scores
from quietpet.files.sections import write_section
from quietpet.files.text import write_csv, write_json
from quietpet.jobs.evaluation import TruthJob
from quietpet.provenance import Stopwatch, provenance


def run(job: TruthJob, inputs: Files, outputs: Files) -> None:
    """Read ``scores`` and ``test`` sets; write ``table``, ``standard`` and ``section``.

    If asked for, also ``provenance``.
    """
    watch = Stopwatch()
    scores = read_scores(inputs.many("scores"), SCORE_COLUMNS)
    write_csv(outputs.one("standard"), SCORE_COLUMNS, _of_standard(job, inputs))
    standard = read_scores([outputs.one("standard")], SCORE_COLUMNS)
    plan = TruthPlan(methods=job.methods, regimes=job.regimes, evaluation=job.evaluation)
    rows = truth_rows(scores, standard, plan=plan)
    write_csv(outputs.one("table"), TRUTH_COLUMNS, (row.cells() for row in rows))
    write_section(outputs.one("section"), truth_section(rows, low_dose=job.low_dose))
    if sidecar := outputs.get("provenance"):
        write_json(
            sidecar,
            provenance("truth", settings=job.model_dump(), inputs=inputs.all(), watch=watch),
        )


def _of_standard(job: TruthJob, inputs: Files) -> Iterator[dict[str, Any]]:
    for path in inputs.many("test"):
        reference = read_record(path, ReferenceSlices)
        require_reference(reference)
        yield from standard_scores(
            read_record(path, PackedName),
            reference,
            paper_window_pixels=job.evaluation.paper_window_pixels,
        )
