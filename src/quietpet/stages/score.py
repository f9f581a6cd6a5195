"""Compare restored test slices with the standard dose."""

from __future__ import annotations

from collections.abc import Sequence

from quietpet.errors import InputError
from quietpet.evaluation.metrics import METRICS
from quietpet.evaluation.regions import REGION_COLUMNS, regional_activity
from quietpet.evaluation.scoring import (
    NAMED_BY,
    SCORE_COLUMNS,
    estimates_of,
    names_of,
    reported,
    require_reference,
    score_rows,
)
from quietpet.evaluation.whole_subjects import SUBJECT_COLUMNS, subject_rows
from quietpet.files.lineage import common_lineage
from quietpet.files.named import Files
from quietpet.files.packed import LowSlices, PackedName, ReferenceSlices
from quietpet.files.records import Record, read_record
from quietpet.files.restored import RestoredSlices
from quietpet.files.text import write_csv, write_json
from quietpet.jobs.evaluation import ScoreJob
from quietpet.provenance import Stopwatch, provenance

_WITH_LOW_DOSE = {
    "regions": (REGION_COLUMNS, regional_activity),
    "subjects": (SUBJECT_COLUMNS, subject_rows),
}
"""Outputs that look at the low dose, too: their columns, and what finds their rows."""


def run(job: ScoreJob, inputs: Files, outputs: Files) -> None:
    """Read ``restored`` and ``test``; write ``scores``.

    If asked for, ``regions``, ``subjects`` and ``provenance`` are written, too.
    """
    watch = Stopwatch()
    about = read_record(inputs.one("test"), PackedName)
    _require_named(about, job, ("dataset", "setting"))
    reference = read_record(inputs.one("test"), ReferenceSlices)
    require_reference(reference)
    restored = read_record(inputs.one("restored"), RestoredSlices)
    _require_named(restored, job, NAMED_BY)
    common_lineage((each.origin, reported(each.lineage)) for each in (about, restored))
    for name, (columns, measure) in _WITH_LOW_DOSE.items():
        if path := outputs.get(name):
            low = read_record(inputs.one("test"), LowSlices)
            found = measure(estimates_of(restored, reference), reference, low)
            write_csv(path, columns, ({**names_of(restored), **row} for row in found))
    pixels = job.evaluation.paper_window_pixels
    rows = score_rows(restored, reference, metrics=METRICS, paper_window_pixels=pixels)
    write_csv(outputs.one("scores"), SCORE_COLUMNS, rows)
    if sidecar := outputs.get("provenance"):
        write_json(
            sidecar,
            provenance("score", settings=job.model_dump(), inputs=inputs.all(), watch=watch),
        )


def _require_named(record: Record, job: ScoreJob, names: Sequence[str]) -> None:
    for name in names:
        found, expected = getattr(record, name), getattr(job, name)
        if found != expected:
            raise InputError(f"{record.origin}: holds {name} {found!r}, this job scores {expected!r}.")
