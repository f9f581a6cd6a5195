"""Jobs that score restored slices and write the tables."""

from __future__ import annotations

from quietpet.jobs.evaluation import ScoreJob, TablesJob
from quietpet.study.physics import physics_notes
from quietpet.study.root import Study


def score_job(study: Study, *, regime: str = "", **names: str) -> ScoreJob:
    """The scores of one restoration."""
    learning = study.learning_word(names["dataset"], names["method"], regime)
    return ScoreJob(**names, learning=learning, evaluation=study.evaluation)


def tables_job(study: Study) -> TablesJob:
    """What the tables say of the whole study."""
    return TablesJob(
        study_seed=study.study_seed,
        protocol=study.protocol,
        methods={name: settings.describe() for name, settings in study.methods.items()},
        staged=tuple(
            name
            for name in (*study.domains, *study.invivo_names)
            if any(
                len(study.regimes(dataset=name, setting=setting, method=method)) > 1
                for setting in study.settings_of(name)
                for method in study.methods_for(name)
            )
        ),
        regimes=tuple(study.learning.regimes) if study.learning else (),
        trained=tuple(name for name, method in study.methods.items() if method.trained),
        iterations=_iterations(study),
        published_settings=tuple(name for name, level in study.doses.low.items() if level.published),
        doses=_doses(study),
        acquisition=study.acquisition.describe(),
        physics=physics_notes(study),
        rays=study.scanner.rays,
        evaluation=study.evaluation,
    )


def _doses(study: Study) -> dict[str, str]:
    """Every dose and every setting of a cohort, in words."""
    simulated = {
        f"{dataset}/{name}": level.describe()
        for dataset, domain in study.domains.items()
        for name, level in domain.doses.levels.items()
    }
    scanned = {
        f"{dataset}/{setting}": study.in_vivo.windows.low[cohort.window].describe()
        for dataset in study.invivo_names
        for setting, cohort in study.in_vivo.datasets[dataset].settings.items()
    }
    own = {name: level.describe() for name, level in study.doses.levels.items()}
    return {**own, **simulated, **scanned}


def _iterations(study: Study) -> dict[str, dict[str, str]]:
    """Iterations of each stage of learning, by data set and value of the column 'learning'."""
    return {
        dataset: {
            study.learning_word(dataset, method, regime): " + ".join(
                map(str, study.iterations_of(dataset=dataset, setting=setting, regime=regime))
            )
            for method in study.methods_for(dataset)
            if study.methods[method].trained
            for setting in study.settings_of(dataset)
            for regime in study.regimes(dataset=dataset, setting=setting, method=method)
        }
        for dataset in (*study.dataset_names, *study.invivo_names)
    }
