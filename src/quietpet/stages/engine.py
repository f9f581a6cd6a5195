"""Stage ``engine``: decide once for a study which engine computes its projections."""

from __future__ import annotations

import logging

from quietpet.config.scanner import ScannerSettings
from quietpet.jobs.acquisition import EngineJob
from quietpet.provenance import Stopwatch, provenance
from quietpet.stages.files import Files
from quietpet.stages.system import decided
from quietpet.store import write_json

logger = logging.getLogger(__name__)


def run(job: EngineJob, inputs: Files, outputs: Files) -> None:
    """Write ``decision``: the engine that ``scanner.projector`` means here and now."""
    watch = Stopwatch()
    chosen = decided(ScannerSettings(projector=job.projector)).projector
    logger.info("scanner.projector = %s: this study uses the projector %r", job.projector, chosen)
    write_json(
        outputs.one("decision"),
        {
            "projector": chosen,
            "provenance": provenance(
                "engine", settings=job.model_dump(), inputs=inputs.all(), watch=watch
            ),
        },
    )
