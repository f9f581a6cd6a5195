"""Compare restored test slices with the standard dose."""

from __future__ import annotations

from collections.abc import Sequence

from quietpet.errors import InputError
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
from quietpet.files.lineage import common_lineage
from quietpet.files.named import Files
from quietpet.files.packed import LowSlices, PackedName, ReferenceSlices
from quietpet.files.records import Record, read_record
from quietpet.files.restored import RestoredSlices
from quietpet.files.text import write_csv, write_json
from quietpet.jobs.evaluation import ScoreJob
from quietpet.provenance import Stopwatch, provenance


def run(job: ScoreJob, inputs: Files, outputs: Files) -> None:
    """Read ``restored`` and ``test``; write ``scores``, and if asked for ``regions``, ``provenance``."""
    watch = Stopwatch()
    about = read_record(inputs.one("test"), PackedName)
    _require_named(about, job, ("dataset", "setting"))
    reference = read_record(inputs.one("test"), ReferenceSlices)
    require_reference(reference)
    restored = read_record(inputs.one("restored"), RestoredSlices)
    _require_named(restored, job, NAMED_BY)
    common_lineage((each.origin, reported(each.lineage)) for each in (about, restored))
    if regions := outputs.get("regions"):
        low = read_record(inputs.one("test"), LowSlices)
        means = regional_activity(estimates_of(restored, reference), reference, low)
        write_csv(regions, REGION_COLUMNS, ({**names_of(restored), **row} for row in means))
    rows = score_rows(restored, reference, paper_window_pixels=job.evaluation.paper_window_pixels)
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
