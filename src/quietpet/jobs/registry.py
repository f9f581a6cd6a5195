"""What each job must know: the part of a study that one stage sees, passed to it as JSON.

A stage's result depends on these values, its input files and its code, and on nothing else.
"""

from __future__ import annotations

from typing import Any

from quietpet.config.section import Section
from quietpet.jobs.acquisition import CountsJob, EngineJob, ReconstructJob, SimulateJob, ThinJob
from quietpet.jobs.datasets import PackJob, PackScansJob
from quietpet.jobs.evaluation import ScoreJob, TablesJob
from quietpet.jobs.invivo import FetchInvivoJob, ImportScanJob, RegisterJob
from quietpet.jobs.methods import FitJob, PlanJob, RestoreJob, SamplingJob
from quietpet.jobs.phantoms import FetchJob, PhantomJob, SlicesJob
from quietpet.jobs.standin import StandinCohortJob, StandinJob
from quietpet.study.root import Study

JOBS: dict[str, type[Section]] = {
    "fetch": FetchJob,
    "fetch_invivo": FetchInvivoJob,
    "import_scan": ImportScanJob,
    "phantom": PhantomJob,
    "slices": SlicesJob,
    "engine": EngineJob,
    "simulate": SimulateJob,
    "thin": ThinJob,
    "counts": CountsJob,
    "reconstruct": ReconstructJob,
    "register": RegisterJob,
    "pack": PackJob,
    "pack_scans": PackScansJob,
    "fit": FitJob,
    "restore": RestoreJob,
    "plan": PlanJob,
    "sampling": SamplingJob,
    "score": ScoreJob,
    "tables": TablesJob,
    "standin": StandinJob,
    "standin_cohort": StandinCohortJob,
}
"""Job settings of every stage, by the stage's name."""


def settings_for(study: Study, stage: str, **names: str) -> str:
    """JSON settings of one job: ``stage`` for the wildcard values ``names``.

    ``domain`` among them names the simulated data set, if it is not the study's first.
    """
    job: Any = JOBS[stage]
    if domain := names.pop("domain", ""):
        study = study.of_dataset(domain)
    return job.of(study, **names).model_dump_json()
