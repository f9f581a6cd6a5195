"""Jobs that look for known lesions in noise realisations."""

from __future__ import annotations

from quietpet.jobs.detection import DetectionJob, ObserveJob
from quietpet.study.realisations import REALISATIONS
from quietpet.study.root import Study


def observe_job(
    study: Study, *, regime: str = "", purpose: str = REALISATIONS, **names: str
) -> ObserveJob:
    """The ratings of one restoration of realisations, whose ``purpose`` that is."""
    if purpose != REALISATIONS:
        raise ValueError(f"lesions are looked for in {REALISATIONS}, not in {purpose!r}")
    learning = study.data_sets[names["dataset"]].learning_word(names["method"], regime)
    return ObserveJob(**names, learning=learning, channels=study.observers)


def detection_job(study: Study) -> DetectionJob:
    """What the table must know of the study."""
    usual = study.observers.compare_with or next(iter(study.low_dose_images), None)
    return DetectionJob(
        methods=tuple(study.methods),
        compare_with=usual,
        channels=study.observers,
        confidence=study.evaluation.confidence,
        protocol=study.protocol,
    )
