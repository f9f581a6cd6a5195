"""Jobs that summarise what was measured over whole subjects."""

from __future__ import annotations

from quietpet.jobs.subjects import SubjectsJob
from quietpet.study.root import Study


def subjects_job(study: Study) -> SubjectsJob:
    """What the table must know of the study."""
    return SubjectsJob(
        methods=tuple(study.methods),
        confidence=study.evaluation.confidence,
        protocol=study.protocol,
    )
