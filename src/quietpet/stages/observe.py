"""Stage observe: restored noise realisations -> ratings of model observers that know the lesions."""

from __future__ import annotations

from quietpet.errors import InputError
from quietpet.evaluation.detection import RESTORED
from quietpet.evaluation.ratings import RATING_COLUMNS, places_of, rating_rows
from quietpet.evaluation.scoring import NAMED_BY, estimates_of
from quietpet.files.named import Files
from quietpet.files.realisations import Realisations
from quietpet.files.records import read_record
from quietpet.files.restored import RestoredSlices
from quietpet.files.text import write_csv, write_json
from quietpet.jobs.detection import ObserveJob
from quietpet.provenance import Stopwatch, provenance


def run(job: ObserveJob, inputs: Files, outputs: Files) -> None:
    """Read ``restored`` and ``test``, its realisations; write ``ratings`` (CSV).

    ``ratings_provenance`` is written if asked for.
    """
    watch = Stopwatch()
    realisations = read_record(inputs.one("test"), Realisations)
    places = places_of(realisations, job.channels)
    restored = read_record(inputs.one("restored"), RestoredSlices)
    for name in NAMED_BY:
        found, expected = getattr(restored, name), getattr(job, name)
        if found != expected:
            raise InputError(f"{restored.origin}: holds {name} {found!r}, this job reads {expected!r}.")
    names = {"image": RESTORED, **{name: getattr(restored, name) for name in NAMED_BY}}
    rows = rating_rows(estimates_of(restored, realisations), places)
    write_csv(outputs.one("ratings"), RATING_COLUMNS, ({**names, **row} for row in rows))
    if sidecar := outputs.get("ratings_provenance"):
        write_json(
            sidecar,
            provenance("observe", settings=job.model_dump(), inputs=inputs.all(), watch=watch),
        )
