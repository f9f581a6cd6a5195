"""Stage ``simulate``: the prompts of one subject's slices at one dose."""

from __future__ import annotations

from quietpet.files.named import Files
from quietpet.files.phantoms import ScannedSlices
from quietpet.files.records import read_record, write_record
from quietpet.jobs.acquisition import SimulateJob
from quietpet.provenance import Stopwatch, provenance
from quietpet.recon.system import decided, engine_versions
from quietpet.runtime.device import compute_device
from quietpet.simulation.scan import activity_unit, scanned


def run(job: SimulateJob, inputs: Files, outputs: Files) -> None:
    """Read ``slices``; write ``sinograms``: prompts and everything needed to model them.

    ``engine``, if given, says which engine ``scanner.projector: auto`` means in this study.
    """
    watch, device = Stopwatch(), compute_device()
    settings = decided(job.scanner, inputs.get("engine"))
    slices = read_record(inputs.one("slices"), ScannedSlices)
    scan = scanned(job, slices, settings, device, unit=activity_unit(job))
    origin = provenance(
        "simulate",
        settings=job.model_dump(),
        inputs=inputs.all(),
        watch=watch,
        device=str(device),
        also=job.named_code,
        engines=engine_versions(settings.projector),
    )
    write_record(outputs.one("sinograms"), scan, provenance=origin)
