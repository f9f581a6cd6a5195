"""From a study to its jobs: what one run of a step must know, and nothing else of the study.

A step's result depends on these values, its input files and its code, and on nothing else.
"""

from __future__ import annotations

from collections.abc import Callable

from quietpet.jobs.acquisition import CountsJob, EngineJob
from quietpet.jobs.invivo import RegistrationEngineJob
from quietpet.jobs.job import Job
from quietpet.jobs.methods import SamplingJob
from quietpet.study.root import Study
from quietpet.study.select_detection import detection_job, observe_job
from quietpet.study.select_learning import fit_job, learning_rate_job, plan_job, restore_job
from quietpet.study.select_measures import dose_response_job, uncertainty_job
from quietpet.study.select_realisations import realise_job, recovery_job, recovery_table_job
from quietpet.study.select_robustness import robustness_job, robustness_table_job
from quietpet.study.select_scans import (
    fetch_invivo_job,
    import_pair_job,
    import_scan_job,
    pack_scans_job,
    register_job,
    standin_cohort_job,
    standin_job,
)
from quietpet.study.select_simulation import (
    fetch_job,
    pack_job,
    phantom_job,
    reconstruct_job,
    simulate_job,
    slices_job,
    thin_job,
)
from quietpet.study.select_subjects import subjects_job
from quietpet.study.select_tables import (
    cohorts_job,
    export_job,
    gallery_job,
    report_job,
    score_job,
    tables_job,
    truth_job,
)

_SELECT: dict[str, Callable[..., Job]] = {
    "fetch": fetch_job,
    "fetch_invivo": fetch_invivo_job,
    "import_scan": import_scan_job,
    "import_pair": import_pair_job,
    "phantom": phantom_job,
    "slices": slices_job,
    "engine": lambda study: EngineJob(projector=study.scanner.projector),
    "simulate": simulate_job,
    "thin": thin_job,
    "realise": realise_job,
    "recovery": recovery_job,
    "observe": observe_job,
    "detection": detection_job,
    "recovery_table": recovery_table_job,
    "counts": lambda _: CountsJob(),
    "reconstruct": reconstruct_job,
    "registration_engine": lambda study: RegistrationEngineJob(engine=study.registration.engine),
    "register": register_job,
    "pack": pack_job,
    "pack_scans": pack_scans_job,
    "learning_rate": learning_rate_job,
    "fit": fit_job,
    "restore": restore_job,
    "plan": plan_job,
    "sampling": lambda _: SamplingJob(),
    "score": score_job,
    "robustness": robustness_job,
    "robustness_table": robustness_table_job,
    "uncertainty": uncertainty_job,
    "dose_response": dose_response_job,
    "subjects": subjects_job,
    "cohorts": cohorts_job,
    "truth": truth_job,
    "tables": tables_job,
    "export": export_job,
    "gallery": gallery_job,
    "report": report_job,
    "standin": standin_job,
    "standin_cohort": standin_cohort_job,
}


def job_of(study: Study, step: str, **names: str) -> Job:
    """One job of ``step``, for the wildcard values ``names``."""
    return _SELECT[step](study, **names)


def settings_for(study: Study, step: str, **names: str) -> str:
    """The same as the JSON text that the step's command takes."""
    return job_of(study, step, **names).model_dump_json()
