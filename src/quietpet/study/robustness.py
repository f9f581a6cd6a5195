"""What the table `robustness` needs of a study."""

from __future__ import annotations

from quietpet.config.robustness import WRONG_T1, RobustnessSettings
from quietpet.study.contents import StudyContents
from quietpet.study.data_sets import DataSet, Scanned


def require_robustness(study: StudyContents) -> None:
    """Raise ValueError if what ``robustness`` names is not there, or cannot have a wrong T1."""
    if study.robustness is None:
        return
    known = {
        f"{name}/{setting}": dataset
        for name, dataset in study.data_sets.items()
        for setting in dataset.settings
    }
    for reference in study.robustness.data:
        if reference not in known:
            raise ValueError(f"robustness.data: no data set {reference!r}; there are {', '.join(known)}")
        _require_comparable(study, known[reference], reference)
        if "other_subject" in study.robustness.conditions:
            _require_another_subject(study.robustness, known[reference], reference)


def _require_comparable(study: StudyContents, dataset: DataSet, reference: str) -> None:
    """What the table `robustness` needs of the methods that restore a data set."""
    if not set(study.low_dose_images) & set(dataset.methods):
        raise ValueError(
            f"robustness.data: gains on {reference} are counted from the low-dose image itself, which "
            "no method gives; add lpet: {} to methods"
        )
    if isinstance(dataset, Scanned) and dataset.may_lack_t1:
        raise ValueError(
            f"robustness.data: scans of {reference} may lack T1 (invivo.sources.{dataset.cohort.source}."
            "t1_presence = if_there), and one that is not there cannot be wrong; name another data set, "
            "or set required"
        )
    if all(method.t1_use == "none" for method in dataset.methods.values()):
        raise ValueError(
            f"robustness.data: no method that restores {reference} looks at T1; add one to methods, or "
            "leave the section robustness out"
        )


def _require_another_subject(robustness: RobustnessSettings, dataset: DataSet, reference: str) -> None:
    subjects = dataset.splits_of(reference.partition("/")[2]).test
    if len(subjects) < 2:
        asked = [each for each in robustness.conditions if each != "other_subject"]
        others = ", ".join(asked or (each for each in WRONG_T1 if each != "other_subject"))
        raise ValueError(
            f"robustness.data: {reference} has one test subject, {subjects[0]!r}, and other_subject "
            f"needs the T1 of another; test two, or write conditions: [{others}]"
        )
