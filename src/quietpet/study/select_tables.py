"""Jobs that score restored slices and write the tables."""

from __future__ import annotations

from quietpet.evaluation.layouts import Run, ShownPlan, layouts, shown
from quietpet.jobs.evaluation import CohortsJob, ScoreJob, TablesJob
from quietpet.study.data_sets import Scored
from quietpet.study.physics import physics_notes
from quietpet.study.root import Study
from quietpet.study.t1 import without_t1


def score_job(study: Study, *, regime: str = "", **names: str) -> ScoreJob:
    """The scores of one restoration."""
    learning = study.data_sets[names["dataset"]].learning_word(names["method"], regime)
    return ScoreJob(**names, learning=learning, evaluation=study.evaluation)


def cohorts_job(study: Study) -> CohortsJob:
    """What is compared between cohorts; ValueError without any."""
    if study.cohorts is None:
        raise ValueError("this study has no section cohorts")
    return CohortsJob(
        healthy=study.cohorts.healthy,
        diseased=study.cohorts.diseased,
        reference=study.cohorts.reference,
        confidence=study.evaluation.confidence,
        protocol=study.protocol,
        methods=tuple(study.methods),
        learned=tuple(study.learning.regimes) if study.learning else (),
        settings=study.simulated[study.cohorts.healthy].settings,
    )


def tables_job(study: Study) -> TablesJob:
    """What the tables say of the whole study."""
    return TablesJob(
        protocol=study.protocol,
        methods={name: _described(study, name) for name in study.methods},
        datasets={name: dataset.kind for name, dataset in study.data_sets.items()},
        regimes=tuple(study.learning.regimes) if study.learning else (),
        trained=_trained(study),
        iterations=_iterations(study),
        budget=study.training.describe(),
        published_settings=_published_settings(study),
        doses={
            name: text for dataset in study.data_sets.values() for name, text in dataset.doses.items()
        },
        acquisition=study.acquisition.describe(),
        physics=physics_notes(study),
        rays=study.scanner.rays,
        evaluation=study.evaluation,
        reference=reference_method(study),
        without_t1=tuple(without_t1(study)),
    )


REFERENCE = "mfdiff"
"""What the others are compared with where nobody chose."""


def reference_method(study: Study) -> str:
    """The method that the others are compared with, subject by subject."""
    networks = (name for name, method in study.methods.items() if method.trained)
    default = REFERENCE if REFERENCE in study.methods else next(networks, next(iter(study.methods)))
    return study.evaluation.compare_with or default


def exported_tables(study: Study) -> tuple[str, ...]:
    """The tables that have rows, each a file of its own."""
    runs = [Run(run.dataset, run.setting, run.method, _learned(study, run)) for run in study.scored]
    datasets = {name: dataset.kind for name, dataset in study.data_sets.items()}
    plan = ShownPlan(
        datasets=datasets,
        trained=_trained(study),
        published_settings=_published_settings(study),
    )
    return tuple(layout.table for layout in layouts(datasets) if shown(layout, runs, plan))


def _learned(study: Study, run: Scored) -> str:
    return study.data_sets[run.dataset].learning_word(run.method, run.regime)


def _trained(study: Study) -> tuple[str, ...]:
    return tuple(name for name, method in study.methods.items() if method.trained)


def _published_settings(study: Study) -> tuple[str, ...]:
    return tuple(name for name, level in study.doses.low.items() if level.published)


def _described(study: Study, name: str) -> str:
    """A method, and what its training has of its own."""
    method = study.methods[name]
    words = [method.describe()]
    if own := method.own_training:
        words.append(own.describe(study.training))
    if method.cost_of:
        words.append(
            f"as many iterations as take the time of those of {method.cost_of} "
            f"({study.training_cost(name):g} and {study.training_cost(method.cost_of):g} core seconds "
            "per 1000)"
        )
    if (trained := study.trained_as(name)) != name:
        words.append(f"restores with the weights of {trained}")
    return "; ".join(words)


def _iterations(study: Study) -> dict[str, dict[str, dict[str, str]]]:
    """Iterations of each stage of learning, by data set, method and value of the column 'learning'."""
    found: dict[str, dict[str, dict[str, str]]] = {}
    for name, dataset in study.data_sets.items():
        of_methods = found.setdefault(name, {})
        for run in dataset.scored:
            if study.methods[run.method].trained:
                stages = study.iterations_of(
                    dataset=name, setting=run.setting, method=run.method, regime=run.regime
                )
                learned = dataset.learning_word(run.method, run.regime)
                of_methods.setdefault(run.method, {})[learned] = " + ".join(map(str, stages))
    return found
