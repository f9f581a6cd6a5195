"""Stage ``engine``: decide once for a study which engine computes its projections."""

from __future__ import annotations

import logging

from quietpet.config.scanner import AUTO
from quietpet.files.named import Files
from quietpet.files.text import write_json
from quietpet.jobs.acquisition import EngineJob
from quietpet.projection.engines import available_engine, require_usable
from quietpet.provenance import Stopwatch, provenance

logger = logging.getLogger(__name__)


def run(job: EngineJob, inputs: Files, outputs: Files) -> None:
    """Write ``decision``: the engine that ``scanner.projector`` means here and now, and why."""
    watch = Stopwatch()
    if job.projector == AUTO:
        chosen, reason = available_engine()
    else:
        require_usable(job.projector)
        chosen, reason = job.projector, "the configuration says so"
    logger.info(
        "scanner.projector = %s: this study uses the projector %r: %s", job.projector, chosen, reason
    )
    write_json(
        outputs.one("decision"),
        {
            "projector": chosen,
            "reason": reason,
            "provenance": provenance(
                "engine", settings=job.model_dump(), inputs=inputs.all(), watch=watch
            ),
        },
    )
