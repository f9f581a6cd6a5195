"""Jobs that score restored slices and write the tables."""

from __future__ import annotations

from pydantic import Field

from quietpet.config.datasets import DatasetKind
from quietpet.config.evaluation import EvaluationSettings
from quietpet.config.section import Section
from quietpet.jobs.methods import MethodJob
from quietpet.study.physics import physics_notes
from quietpet.study.root import Study


class ScoreJob(MethodJob):
    """Compare restored test slices with the standard dose."""

    learning: str
    evaluation: EvaluationSettings

    @classmethod
    def of(cls, study: Study, *, regime: str = "", **names: str) -> ScoreJob:
        learning = study.learning_word(names["dataset"], names["method"], regime)
        return cls(**names, learning=learning, evaluation=study.evaluation)


class TablesJob(Section):
    """Aggregate all scores into the tables."""

    study_seed: int
    protocol: str
    methods: dict[str, str]
    datasets: dict[str, DatasetKind]
    regimes: tuple[str, ...] = ()
    trained: tuple[str, ...] = ()
    iterations: dict[str, dict[str, str]] = Field({})
    published_settings: tuple[str, ...]
    doses: dict[str, str]
    acquisition: str
    physics: tuple[str, ...] = ()
    rays: int
    evaluation: EvaluationSettings

    @classmethod
    def of(cls, study: Study) -> TablesJob:
        return cls(
            study_seed=study.study_seed,
            protocol=study.protocol,
            methods={name: settings.describe() for name, settings in study.methods.items()},
            datasets=study.dataset_kinds,
            regimes=tuple(study.learning.regimes) if study.learning else (),
            trained=tuple(name for name, method in study.methods.items() if method.trained),
            iterations=_iterations(study),
            published_settings=tuple(name for name, level in study.doses.low.items() if level.published),
            doses={
                **{name: level.describe() for name, level in study.doses.levels.items()},
                **{
                    f"{dataset}/{name}": level.describe()
                    for dataset, domain in study.domains.items()
                    for name, level in domain.doses.levels.items()
                },
                **{
                    f"{dataset}/{setting}": study.invivo.windows.low[cohort.window].describe()
                    for dataset in study.invivo_names
                    for setting, cohort in study.invivo.datasets[dataset].settings.items()
                },
            },
            acquisition=study.acquisition.describe(),
            physics=physics_notes(study),
            rays=study.scanner.rays,
            evaluation=study.evaluation,
        )


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
