"""Stage ``registration_engine``: decide once for a study which engine registers its scans."""

from __future__ import annotations

import logging

from quietpet.files.named import Files
from quietpet.files.text import write_json
from quietpet.jobs.invivo import RegistrationEngineJob
from quietpet.provenance import Stopwatch, provenance
from quietpet.registration.register import working_spm

logger = logging.getLogger(__name__)


def run(job: RegistrationEngineJob, inputs: Files, outputs: Files) -> None:
    """Write ``decision``: the engine that ``registration.engine`` means here and now."""
    watch = Stopwatch()
    found = working_spm(job.engine, trial=True)
    chosen = found.name if found else "embedded"
    logger.info("registration.engine = %s: all scans of this study use %r", job.engine, chosen)
    write_json(
        outputs.one("decision"),
        {
            "engine": chosen,
            "version": found.version if found else None,
            "provenance": provenance(
                "registration_engine", settings=job.model_dump(), inputs=inputs.all(), watch=watch
            ),
        },
    )
