"""Compare restored test slices with the standard dose."""

from __future__ import annotations

from collections.abc import Sequence

from quietpet.errors import InputError
from quietpet.evaluation.regions import REGION_COLUMNS, regional_activity
from quietpet.evaluation.scoring import (
    LINEAGE,
    SCORE_COLUMNS,
    estimates_of,
    require_reference,
    score_slices,
    spread_of,
)
from quietpet.files.lineage import Lineage, common_lineage
from quietpet.files.named import Files
from quietpet.files.packed import LowSlices, PackedName, ReferenceSlices
from quietpet.files.records import Record, read_record
from quietpet.files.restored import RestoredSlices
from quietpet.files.text import csv_cell, write_csv, write_json
from quietpet.jobs.evaluation import ScoreJob
from quietpet.provenance import Stopwatch, provenance

_NAMES = ("dataset", "setting", "method", "learning", "replicate")


def run(job: ScoreJob, inputs: Files, outputs: Files) -> None:
    """Read ``restored`` and ``test``; write ``scores``, and if asked for ``regions``, ``provenance``."""
    watch = Stopwatch()
    about = read_record(inputs.one("test"), PackedName)
    _require_named(about, job, ("dataset", "setting"))
    reference = read_record(inputs.one("test"), ReferenceSlices)
    require_reference(reference)
    restored = read_record(inputs.one("restored"), RestoredSlices)
    _require_named(restored, job, _NAMES)
    estimates, lineage = estimates_of(restored, reference), _reported(restored.lineage)
    common_lineage([(about.origin, _reported(about.lineage)), (restored.origin, lineage)])
    names = {**{name: getattr(job, name) for name in _NAMES}, **lineage}
    if regions := outputs.get("regions"):
        low = read_record(inputs.one("test"), LowSlices)
        means = regional_activity(estimates, reference, low)
        write_csv(regions, REGION_COLUMNS, ({**names, **row} for row in means))
    origin = {**names, "spread_to_error": csv_cell(spread_of(restored, reference))}
    rows = score_slices(estimates, reference, paper_window_pixels=job.evaluation.paper_window_pixels)
    write_csv(outputs.one("scores"), SCORE_COLUMNS, ({**origin, **row} for row in rows))
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


def _reported(lineage: Lineage) -> Lineage:
    return {name: lineage.get(name, "-") for name in LINEAGE}
