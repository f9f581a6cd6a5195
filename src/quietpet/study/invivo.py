"""What data sets of scans ask: methods, regimes, transforms, and heads of stand-ins.

Every check raises ValueError with the key, its value and the remedy.
"""

from __future__ import annotations

from collections.abc import Iterator

from quietpet.config.datasets import SplitSettings
from quietpet.data_source import PHANTOMS
from quietpet.study.contents import StudyContents
from quietpet.study.data_sets import Scanned
from quietpet.study.domains import roles_of_subjects


def require_invivo(study: StudyContents) -> None:
    """Each data set of scans has methods, regimes and replicates that there are."""
    if study.invivo is None:
        return
    left_out = {"invivo.without": study.invivo.without} | {
        f"invivo.datasets.{name}.without": each.without for name, each in study.invivo.datasets.items()
    }
    for key, names in left_out.items():
        if unknown := [name for name in names if name not in study.methods]:
            raise ValueError(f"{key}: no method {unknown[0]!r}; there are {', '.join(study.methods)}")
    for name, source in study.invivo.sources.items():
        if source.is_of_the_user and name in PHANTOMS:
            raise ValueError(
                f"invivo.sources: {name!r} in the tables' column data_source says that nobody was "
                "scanned; choose another name"
            )
    if (study.invivo.replicates or 1) > study.replicates:
        raise ValueError(
            f"invivo.replicates = {study.invivo.replicates} is larger than replicates = "
            f"{study.replicates}: each starts from its own replicate on the phantoms"
        )
    for name, dataset in study.scanned.items():
        if name in study.simulated:
            raise ValueError(f"invivo.datasets: {name!r} is a simulated data set; choose another name")
        _require_regimes(study, dataset)
        if not any(dataset.scored):
            raise ValueError(
                f"invivo.datasets.{name}: no method restores it; scans have no sinograms, and "
                "invivo.without and regimes must leave something"
            )


def _require_regimes(study: StudyContents, dataset: Scanned) -> None:
    known = study.learning.regimes if study.learning else {}
    for setting in dataset.settings:
        for regime in dataset.cohort.regimes_of(setting) or ():
            if regime not in known:
                raise ValueError(
                    f"invivo.datasets.{dataset.name}: {setting} has the regime {regime!r}, but there "
                    f"are {', '.join(known)} in learning.regimes"
                )


def require_transforms(study: StudyContents) -> None:
    """Every scan has a transform of its own, where the user gives them."""
    if study.registration.engine != "file":
        return
    owners: dict[str | None, tuple[str, str]] = {}
    for scan in study.invivo.scans if study.invivo else ():
        path = study.registration.transform_of(*scan)
        if (other := owners.setdefault(path, scan)) != scan:
            raise ValueError(
                f"registration.transform = {study.registration.transform!r} is {path} for "
                f"participant {scan[1]!r} of {scan[0]} and for {other[1]!r} of {other[0]}; write "
                "{participant}, and {source} if several have such a participant"
            )


def require_standin(study: StudyContents) -> None:
    """Each simulated scan has a cohort, and its head one split in all data sets."""
    roles = roles_of_subjects(study)
    known = study.standin.cohorts if study.standin else {}
    for place, cohort, splits in _simulated_scans(study):
        if cohort not in known:
            raise ValueError(f"{place}: its source is the cohort {cohort!r}, which standin lacks")
        try:
            found = known[cohort].roles(splits)
        except ValueError as error:
            raise ValueError(f"{place}: {error}") from None
        for anatomy, split in found.items():
            if roles.setdefault(anatomy, split) != split:
                raise ValueError(
                    f"{place}: the head of {anatomy!r} is in {split!r}, but in {roles[anatomy]!r} "
                    "elsewhere; its anatomy would leak between the data sets"
                )


def _simulated_scans(study: StudyContents) -> Iterator[tuple[str, str, SplitSettings]]:
    """Place in the configuration, cohort and splits of every setting that uses simulated scans."""
    for name, dataset in study.scanned.items():
        if cohort := study.in_vivo.sources[dataset.cohort.source].cohort:
            for setting in dataset.settings:
                place = f"invivo.datasets.{name}.settings.{setting}"
                yield place, cohort, dataset.splits_of(setting)
