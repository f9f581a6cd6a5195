"""What noise realisations need of a study."""

from __future__ import annotations

from collections.abc import Iterator

from quietpet.config.realisations import RealisationSettings
from quietpet.config.robustness import TestSet
from quietpet.geometry.scanner import SCANNERS
from quietpet.study.contents import StudyContents
from quietpet.study.data_sets import FIRST_REPLICATE, Scored, Simulated

REALISATIONS = "realisations"
"""The purpose of phantoms without lesions and of their slices."""

METHODS_PER_JOB = 6
"""At most so many methods restore realisations in one job."""


def realisation_settings(study: StudyContents) -> RealisationSettings:
    """The section ``realisations``, for those who need one; ValueError without."""
    if study.realisations is None:
        raise ValueError("this study has no section realisations")
    return study.realisations


def realised_data(study: StudyContents) -> tuple[tuple[str, str], ...]:
    """Data sets and settings whose slices are measured again; none if nobody asked for it."""
    named = study.realisations.data if study.realisations else ()
    return tuple(_parts(reference) for reference in named)


def realised_subjects(study: StudyContents, dataset: str) -> tuple[str, ...]:
    """Test subjects of a data set whose slices are measured again."""
    return realisation_settings(study).subjects or study.simulated[dataset].study.splits.test


def realised_view(study: StudyContents, dataset: str) -> StudyContents:
    """The study as if ``dataset`` were its only one, without lesions and with the slices to measure."""
    view, settings = study.simulated[dataset].study, realisation_settings(study)
    lesions = view.phantoms.lesions.model_copy(update={"count": 0})
    own = view.slices.indices
    indices = settings.slices or (own[len(own) // 2],)
    return view.model_copy(
        update={
            "phantoms": view.phantoms.model_copy(update={"lesions": lesions}),
            "slices": view.slices.model_copy(update={"indices": indices, "rotations": 1}),
        }
    )


def restored_realisations(study: StudyContents) -> Iterator[Scored]:
    """What restores realisations: every method that is not left out, with its first training."""
    data, without = realised_data(study), study.realisations.without if study.realisations else ()
    for run in study.scored:
        chosen = (run.dataset, run.setting) in data and run.method not in without
        if chosen and run.replicate == FIRST_REPLICATE:
            yield run


def restored_together(study: StudyContents) -> dict[str, tuple[Scored, ...]]:
    """What one job restores, by the name of its rule: Python starts in as many seconds as that takes.

    Neighbours are apart: costly methods often stand beside each other.
    """
    found: dict[str, tuple[Scored, ...]] = {}
    for dataset, setting in realised_data(study):
        runs = [
            run
            for run in restored_realisations(study)
            if (run.dataset, run.setting) == (dataset, setting)
        ]
        jobs = -(-len(runs) // METHODS_PER_JOB)
        for number in range(jobs):
            found[f"recovery-{dataset}-{setting}-{number}"] = tuple(runs[number::jobs])
    return found


def require_realisations(study: StudyContents) -> None:
    """Raise ValueError if what ``realisations`` names is not there, or cannot be measured again."""
    if study.realisations is None:
        return
    simulated = {
        f"{name}/{setting}": dataset
        for name, dataset in study.simulated.items()
        for setting in dataset.settings
    }
    for reference in study.realisations.data:
        if reference not in simulated:
            what = (
                "is of scans, which are there once"
                if _is_scanned(study, reference)
                else "is no data set"
            )
            raise ValueError(
                f"realisations.data: {reference!r} {what}; of phantoms there are {', '.join(simulated)}"
            )
        dataset = simulated[reference]
        _require_test_subjects(study.realisations, dataset)
        if dataset.study.phantoms.activity.white_matter == 0:
            raise ValueError(
                "realisations.data: lesions have so many times the activity of white matter, which is 0 "
                f"in {reference}; give it a value, or leave it out"
            )
    for name in study.realisations.without:
        if name not in study.methods:
            raise ValueError(
                f"realisations.without: no method {name!r}; there are {', '.join(study.methods)}"
            )
    if not any(restored_realisations(study)):
        raise ValueError("realisations.without: leaves no method that restores them; name fewer")
    last = SCANNERS[study.scanner.model]().n_image_slices - 1
    for index in study.realisations.slices or ():
        if index > last:
            raise ValueError(
                f"realisations.slices: slice {index} is beyond {last}, the last slice of "
                f"{study.scanner.model}"
            )


def _require_test_subjects(settings: RealisationSettings, dataset: Simulated) -> None:
    test = dataset.study.splits.test
    for subject in settings.subjects or ():
        if subject not in test:
            raise ValueError(
                f"realisations.subjects: {subject!r} is not in {dataset.key('splits')}.test; "
                f"there are {', '.join(test)}"
            )


def _is_scanned(study: StudyContents, reference: str) -> bool:
    dataset, setting = _parts(reference)
    return dataset in study.scanned and setting in study.scanned[dataset].settings


def _parts(reference: TestSet) -> tuple[str, str]:
    dataset, _, setting = reference.partition("/")
    return dataset, setting
