"""Jobs that measure how far methods trust a wrong T1."""

from __future__ import annotations

from pydantic import Field

from quietpet.config.evaluation import EvaluationSettings, MetricSettings
from quietpet.config.robustness import T1Condition
from quietpet.jobs.job import Job
from quietpet.jobs.methods import RestoreJob


class RobustnessJob(RestoreJob):
    """Restore and score the test slices with T1 as each condition says, and keep the scores alone."""

    conditions: tuple[T1Condition, ...] = Field(min_length=1)
    evaluation: MetricSettings


class RobustnessTableJob(Job):
    """Show what a wrong T1 costs each method.

    ``methods`` are all, in the order of the tables; ``low_dose`` those of them that are the low-dose
    image itself, and ``without_t1`` those that never look at T1.
    """

    methods: tuple[str, ...]
    low_dose: tuple[str, ...]
    without_t1: tuple[str, ...]
    evaluation: EvaluationSettings
