"""Jobs that measure how far methods trust a wrong T1."""

from __future__ import annotations

from quietpet.config.robustness import NONE, OWN
from quietpet.jobs.robustness import RobustnessJob, RobustnessTableJob
from quietpet.study.root import Study
from quietpet.study.select_learning import restore_job


def robustness_job(study: Study, **names: str) -> RobustnessJob:
    """One restoration, as :func:`restore_job` has it, with each T1 that the method can be given."""
    if study.robustness is None:
        raise ValueError("this study has no section robustness")
    ordinary = restore_job(study, **names)
    can_do_without = ordinary.model.t1_use == "optional"
    wrong = (each for each in study.robustness.conditions if each != NONE or can_do_without)
    return RobustnessJob(**dict(ordinary), conditions=(OWN, *wrong), evaluation=study.evaluation)


def robustness_table_job(study: Study) -> RobustnessTableJob:
    """What the table must know of the methods."""
    return RobustnessTableJob(
        methods=tuple(study.methods),
        low_dose=study.low_dose_images,
        without_t1=tuple(n for n, method in study.methods.items() if method.t1_use == "none"),
        evaluation=study.evaluation,
    )
