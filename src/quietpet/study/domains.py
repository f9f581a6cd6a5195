"""What simulated data sets ask of each other: learning, and the same split of every subject.

Every check raises ValueError with the key, its value and the remedy.
"""

from __future__ import annotations

from quietpet.config.datasets import SPLITS
from quietpet.config.domains import PHANTOM, DomainSettings
from quietpet.study.acquisition import require_calibration, require_scanner_limits
from quietpet.study.contents import StudyContents


def require_domains(study: StudyContents) -> None:
    """Each simulated data set is one that could be scanned, learned and told from the others."""
    if bool(study.domains or study.invivo) != (study.learning is not None):
        raise ValueError("domains or invivo, and learning, belong together: give both or none")
    if PHANTOM in study.domains:
        raise ValueError(f"domains: {PHANTOM!r} is the name of the study's own data set")
    for name, domain in study.domains.items():
        _require_own_learning(study, name, domain)
        view = study.simulated[name].study
        try:
            require_calibration(view)
            require_scanner_limits(view)
        except ValueError as error:
            raise ValueError(f"domains.{name}: {error}") from None
    roles_of_subjects(study)
    _require_same_making(study)


def _require_own_learning(study: StudyContents, name: str, domain: DomainSettings) -> None:
    known = study.learning.regimes if study.learning else {}
    for regime in domain.regimes or ():
        if regime not in known:
            raise ValueError(
                f"domains.{name}.regimes: no regime {regime!r}; there are {', '.join(known)} in "
                "learning.regimes"
            )
    if (domain.replicates or 1) > study.replicates:
        raise ValueError(
            f"domains.{name}.replicates = {domain.replicates} is larger than replicates = "
            f"{study.replicates}: each restores with a replicate of a training that others share"
        )


def roles_of_subjects(study: StudyContents) -> dict[str, str]:
    """The split of every subject, the same in all simulated data sets; raises ValueError if not."""
    roles: dict[str, tuple[str, str]] = {}
    for dataset in study.simulated.values():
        place = dataset.key("splits")
        for split in SPLITS:
            for subject in getattr(dataset.study.splits, split):
                before, where = roles.setdefault(subject, (split, place))
                if before != split:
                    raise ValueError(
                        f"{place}: subject {subject!r} is in {split!r}, but in {before!r} of {where}; "
                        "its anatomy would leak between the data sets"
                    )
    return {subject: split for subject, (split, _) in roles.items()}


def _require_same_making(study: StudyContents) -> None:
    levels = {dataset.key("doses"): dataset.study.doses for dataset in study.simulated.values()}
    thinned = {dose: place for place, doses in levels.items() for dose in doses.thinned}
    for place, doses in levels.items():
        if both := set(thinned) & set(doses.simulated):
            raise ValueError(
                f"{thinned[min(both)]}, {place}: {min(both)!r} is thinned in one data set and a scan of "
                "its own in another; give them different names"
            )
