"""Stage ``thin``: a lower dose made of a part of the standard dose's events."""

from __future__ import annotations

from quietpet.files.named import Files
from quietpet.files.records import read_record, write_record
from quietpet.files.sinograms import ScannedDose
from quietpet.jobs.acquisition import ThinJob
from quietpet.provenance import Stopwatch, provenance
from quietpet.simulation.lower_dose import thinned


def run(job: ThinJob, inputs: Files, outputs: Files) -> None:
    """Read ``standard``, the sinograms of the standard dose; write ``sinograms`` of the lower one."""
    watch = Stopwatch()
    lower = thinned(job, read_record(inputs.one("standard"), ScannedDose))
    origin = provenance("thin", settings=job.model_dump(), inputs=inputs.all(), watch=watch)
    write_record(outputs.one("sinograms"), lower, provenance=origin)
