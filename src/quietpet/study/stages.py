"""What stages of learning ask of the data sets that they learn from.

Every check raises ValueError with the key, its value and the remedy.
"""

from __future__ import annotations

from collections.abc import Iterator

from pydantic import ValidationError

from quietpet.config.learning import OWN, LearningSettings
from quietpet.study.contents import StudyContents
from quietpet.study.data_sets import DataSet
from quietpet.study.mistakes import explain
from quietpet.study.trainings import of_own_setting


def require_stages(study: StudyContents) -> None:
    """Each stage learns from data sets that there are, at settings that they have."""
    if study.learning is None:
        return
    settings = [(name, each) for name, dataset in study.data_sets.items() for each in dataset.settings]
    if taken := [name for name, setting in settings if setting == OWN]:
        raise ValueError(
            f"{taken[0]}: a dose or setting cannot be called {OWN!r}, which in learning.stages is the "
            "one that is to be restored; rename it"
        )
    known = ["/".join(names) for names in settings]
    for reference in study.learning.references:
        if not of_own_setting(reference) and reference not in known:
            raise ValueError(f"learning.stages: no data set {reference!r}; there are {', '.join(known)}")
    _require_own_settings(study, study.learning)
    for name in study.learning.compared.methods if study.learning.compared else ():
        if name not in study.methods:
            raise ValueError(
                f"learning.compared.methods: no method {name!r}; there are {', '.join(study.methods)}"
            )
    for name, stage in study.learning.stages.items():
        try:
            stage.training(study.training)
        except ValidationError as error:
            raise ValueError(f"learning.stages.{name}: {explain(error)}") from None
    _require_measured_stages(study, study.learning)


def _require_own_settings(study: StudyContents, learning: LearningSettings) -> None:
    """Where a stage names another data set at the setting that is restored, both have that setting."""
    named = [(name, each) for name, stage in learning.stages.items() for each in stage.data]
    for stage, reference in named:
        if not of_own_setting(reference):
            continue
        place, other = f"learning.stages.{stage}: {reference!r}", reference.partition("/")[0]
        if other not in study.simulated:
            raise ValueError(
                f"{place} names no simulated data set; there are {', '.join(study.simulated)}"
            )
        doses = study.simulated[other].settings
        for dataset, setting in _restored_after(study, learning, stage):
            if dataset.name not in study.simulated:
                raise ValueError(
                    f"{place} has doses of phantoms, but {dataset.name} is of scans; leave the stage "
                    f"out of its regimes, or write {other}/{doses[0]}"
                )
            if setting not in doses:
                raise ValueError(
                    f"{place} is {other}/{setting} where {dataset.name}/{setting} is restored, but "
                    f"{other} has no such dose; it has {', '.join(doses)}"
                )


def _restored_after(
    study: StudyContents, learning: LearningSettings, stage: str
) -> Iterator[tuple[DataSet, str]]:
    """Data sets and settings that some method restores under a regime with ``stage``."""
    regimes = {name for name, stages in learning.regimes.items() if stage in stages}
    for dataset in study.data_sets.values():
        for setting in dataset.settings:
            if any(regimes & set(dataset.regimes_of(setting, method)) for method in dataset.methods):
                yield dataset, setting


def _require_measured_stages(study: StudyContents, learning: LearningSettings) -> None:
    """What domains are restored with is learned from sinograms by some methods, and scans have none."""
    learners = [name for name, method in study.methods.items() if method.learns_from_sinograms]
    if not (study.domains and learners):
        return
    for regime, stages in learning.regimes.items():
        for stage in stages:
            scanned = [
                reference
                for reference in learning.stages[stage].data
                if reference.partition("/")[0] in study.scanned
            ]
            if scanned:
                raise ValueError(
                    f"learning.stages.{stage}: under the regime {regime!r} methods.{learners[0]} would "
                    f"learn from {scanned[0]} to restore domains.{next(iter(study.domains))}, but it "
                    "learns from sinograms, which scans do not have; leave one of the three out"
                )
