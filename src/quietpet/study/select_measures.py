"""Jobs that measure, of the whole study, what no table of metrics tells."""

from __future__ import annotations

from quietpet.jobs.dose_response import DoseResponseJob
from quietpet.jobs.uncertainty import UncertaintyJob
from quietpet.study.dose_amounts import dose_amounts
from quietpet.study.root import Study


def uncertainty_job(study: Study) -> UncertaintyJob:
    """What is measured of the samples of all methods that draw several."""
    return UncertaintyJob(
        methods=tuple(study.methods),
        uncertainty=study.uncertainty,
        confidence=study.evaluation.confidence,
    )


def dose_response_job(study: Study) -> DoseResponseJob:
    """What is shown against dose; ValueError where no data set has several doses."""
    return DoseResponseJob(
        amounts=dose_amounts(study),
        methods=tuple(study.methods),
        low_dose=study.low_dose_images,
        factors=study.dose_response.factors,
        confidence=study.evaluation.confidence,
    )
