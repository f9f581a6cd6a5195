"""Jobs that score restored slices and write the tables."""

from __future__ import annotations

from quietpet.config.datasets import SPLITS
from quietpet.evaluation.layouts import Run, ShownPlan, default_reference, layouts, shown
from quietpet.jobs.evaluation import (
    CohortsJob,
    ExportJob,
    GalleryJob,
    ReportJob,
    ScoreJob,
    TablesJob,
    TruthJob,
)
from quietpet.study.data_sets import DataSet, Scored
from quietpet.study.dose_amounts import learned_at
from quietpet.study.physics import physics_notes
from quietpet.study.root import Study
from quietpet.study.t1 import without_t1


def score_job(study: Study, *, regime: str = "", trained_on: str = "", **names: str) -> ScoreJob:
    """The scores of one restoration."""
    learned = study.data_sets[names["dataset"]].learning_word(names["method"], regime)
    learning = learned_at(learned, trained_on)
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


def truth_job(study: Study) -> TruthJob:
    """What is compared with the truth."""
    return TruthJob(
        methods=tuple(study.methods),
        regimes=tuple(study.learning.regimes) if study.learning else (),
        evaluation=study.evaluation,
        low_dose=study.low_dose_images,
    )


def gallery_job(study: Study, *, dataset: str, setting: str) -> GalleryJob:
    """What a figure of one test slice must know."""
    return GalleryJob(dataset=dataset, setting=setting, low_dose=study.low_dose_images)


def report_job(study: Study) -> ReportJob:
    """What the report says of the whole study."""
    return ReportJob(
        title=f"Low-dose PET restoration: the study {study.protocol}",
        facts=_facts(study),
        methods=tuple(study.methods),
        logs="logs",
    )


def _facts(study: Study) -> dict[str, str]:
    """What the study is, by name."""
    facts = {
        "Study": f"`{study.protocol}`, seed {study.study_seed}",
        "Data sets": "; ".join(_dataset_in_words(each) for each in study.data_sets.values()),
        "Methods": f"{len(study.methods)}: {', '.join(study.methods)}",
        "Trainings of each network": f"{study.replicates}; each of {study.training.describe()}",
        "Acquisition": study.acquisition.describe(),
    }
    doses = {name: text for each in study.data_sets.values() for name, text in each.doses.items()}
    return {**facts, **{f"Dose {name}": text for name, text in doses.items()}}


def _dataset_in_words(dataset: DataSet) -> str:
    """Its kind, and the subjects of its first setting, by split."""
    splits = dataset.splits_of(dataset.settings[0])
    counts = ", ".join(f"{len(getattr(splits, name))} {name}" for name in SPLITS)
    return f"{dataset.name} ({dataset.kind}; subjects: {counts})"


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


def export_job(study: Study) -> ExportJob:
    """The same of the tables that are printed and drawn."""
    return ExportJob(**dict(tables_job(study)))


def reference_method(study: Study) -> str:
    """The method that the others are compared with, subject by subject."""
    return study.evaluation.compare_with or default_reference(study.methods, _trained(study))


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
