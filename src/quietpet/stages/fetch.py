"""``fetch``: decide where the phantoms come from, and have the label volumes whole on disk."""

from __future__ import annotations

from pathlib import Path

from quietpet.errors import InputError
from quietpet.files.named import Files
from quietpet.files.text import write_json
from quietpet.jobs.phantoms import FetchJob
from quietpet.phantom.brainweb import read_sources
from quietpet.phantom.sourcing import decide
from quietpet.provenance import Stopwatch, provenance


def run(job: FetchJob, inputs: Files, outputs: Files) -> None:
    """``sources`` (table of external files) -> ``decision`` (JSON: source, volumes, reason)."""
    watch, folder = Stopwatch(), Path(job.cache_dir)
    if job.cache_is_named and job.source != "template" and not folder.is_dir():
        raise InputError(
            f"{folder}: no such folder (QUIETPET_BRAINWEB or phantoms.cache_dir); correct or remove it."
        )
    decision = decide(
        job.source,
        subjects=job.subjects,
        folder=folder,
        sources=read_sources(inputs.one("sources")),
    )
    write_json(
        outputs.one("decision"),
        {
            "source": decision.source,
            "volumes": {subject: str(path) for subject, path in decision.volumes.items()},
            "reason": decision.reason,
            "provenance": provenance(
                "fetch", settings=job.model_dump(), inputs=inputs.all(), watch=watch
            ),
        },
    )
