"""What the section ``cohorts`` requires of the data sets that it compares."""

from __future__ import annotations

from quietpet.config.comparison import HEAD
from quietpet.config.regions import REGION_NAMES
from quietpet.study.contents import StudyContents
from quietpet.study.data_sets import Simulated


def require_comparable_cohorts(study: StudyContents) -> None:
    """Raise ValueError unless the data sets exist, and differ in who is scanned alone."""
    if study.cohorts is None:
        return
    for name in study.cohorts.datasets:
        if name not in study.simulated:
            known = ", ".join(study.simulated)
            found = "has scans, whose regions nobody numbered" if name in study.scanned else "is none"
            raise ValueError(f"cohorts: {name!r} {found}; there are the simulated data sets {known}")
        _require_regions(study.simulated[name], study.cohorts.reference)
    healthy = study.simulated[study.cohorts.healthy]
    for name in study.cohorts.diseased:
        _require_alike(study.simulated[name], healthy)


def _require_regions(dataset: Simulated, reference: str) -> None:
    if dataset.study.phantoms.regions is None:
        place = dataset.key("regions") if dataset.domain else "phantoms.regions"
        raise ValueError(f"cohorts: {dataset.name!r} numbers no regions; give it {place}")
    if reference not in (known := (*REGION_NAMES, HEAD)):
        raise ValueError(f"cohorts.reference: no region {reference!r}; there are {', '.join(known)}")


def _require_alike(diseased: Simulated, healthy: Simulated) -> None:
    for section in ("doses", "acquisition", "slices"):
        if getattr(diseased.study, section) != getattr(healthy.study, section):
            raise ValueError(
                f"cohorts: {diseased.key(section)} differs from {healthy.key(section)}: a difference "
                "between the cohorts would be one of these, too; write the same in both"
            )
    ill, well = set(diseased.study.splits.test), set(healthy.study.splits.test)
    if ill != well and ill & well:
        raise ValueError(
            f"cohorts: {diseased.key('splits')}.test and {healthy.key('splits')}.test share the heads "
            f"{', '.join(sorted(ill & well))}, but not all; give both the same heads, or none in common"
        )
