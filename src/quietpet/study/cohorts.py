"""What the section ``cohorts`` requires of the data sets that it compares."""

from __future__ import annotations

from typing import Any

from quietpet.config.comparison import HEAD
from quietpet.config.phantoms import PhantomSettings
from quietpet.config.regions import REGION_NAMES, RegionSettings
from quietpet.geometry.grid import scanner_grid
from quietpet.geometry.scanner import SCANNERS
from quietpet.phantom.regions import WELL_INSIDE, slices_through
from quietpet.study.contents import StudyContents
from quietpet.study.data_sets import Simulated


def require_comparable_cohorts(study: StudyContents) -> None:
    """Raise ValueError unless the data sets exist, and differ alone in who is scanned: health, disease.

    They are simulated alike, and restored by the same methods that learned under the same regimes, with
    as many trainings of each. Filters are tuned on the validation slices of each.
    """
    if study.cohorts is None:
        return
    for name in study.cohorts.datasets:
        if name not in study.simulated:
            known = ", ".join(study.simulated)
            found = "has scans, whose regions nobody numbered" if name in study.scanned else "is none"
            raise ValueError(f"cohorts: {name!r} {found}; there are the simulated data sets {known}")
        _require_regions(study.simulated[name], study.cohorts.reference)
    healthy = study.simulated[study.cohorts.healthy]
    _require_diagnosis(healthy, diseased=False)
    for name in study.cohorts.diseased:
        _require_diagnosis(study.simulated[name], diseased=True)
        _require_alike(study.simulated[name], healthy)
        _require_same_restorations(study.simulated[name], healthy)
        _require_heads(study.simulated[name], healthy)


def slices_well_inside(study: StudyContents, region: str) -> list[int]:
    """Slices of the study's scanner that cut ``region`` where it is wide."""
    grid = scanner_grid(SCANNERS[study.scanner.model](), study.scanner.image_pixels)
    return slices_through(region, grid=grid, within=WELL_INSIDE)


def _phantoms_key(dataset: Simulated, section: str) -> str:
    """Key of what is of the phantoms themselves."""
    return dataset.key(section) if dataset.domain else f"phantoms.{section}"


def _regions(dataset: Simulated) -> RegionSettings:
    if (regions := dataset.study.phantoms.regions) is None:
        raise ValueError(
            f"cohorts: {dataset.name!r} numbers no regions; give it {_phantoms_key(dataset, 'regions')}"
        )
    return regions


def _require_regions(dataset: Simulated, reference: str) -> None:
    _regions(dataset)
    if reference not in (known := (*REGION_NAMES, HEAD)):
        raise ValueError(f"cohorts.reference: no region {reference!r}; there are {', '.join(known)}")
    if reference == HEAD:
        return
    through, indices = slices_well_inside(dataset.study, reference), dataset.study.slices.indices
    if not set(through) & set(indices):
        raise ValueError(
            f"cohorts: {dataset.key('slices')}.indices = {list(indices)}: no slice passes through the "
            f"middle of {reference}, by which the other regions are divided; add "
            f"{through[len(through) // 2]}, or choose another cohorts.reference"
        )


def _require_diagnosis(dataset: Simulated, *, diseased: bool) -> None:
    disease, key = _regions(dataset).disease, f"{_phantoms_key(dataset, 'regions')}.disease"
    if not diseased and disease is not None:
        raise ValueError(f"cohorts.healthy: {dataset.name!r} has {key}; name a data set without")
    if not diseased:
        return
    if disease is None:
        raise ValueError(f"cohorts.diseased: {dataset.name!r} has no {key}; write one, such as {{}}")
    if max(disease.severity) == 0:
        raise ValueError(f"cohorts.diseased: {key}.severity = 0 is health; write one above 0")
    if not any(reduction for _, reduction in disease.reductions):
        raise ValueError(f"cohorts.diseased: {key}.reductions are all 0; write one above 0")


def _require_alike(diseased: Simulated, healthy: Simulated) -> None:
    keys = [
        (diseased.key(section), healthy.key(section))
        for section in ("doses", "acquisition", "slices")
        if getattr(diseased.study, section) != getattr(healthy.study, section)
    ]
    one, other = (_people(each) for each in (diseased, healthy))
    keys += [
        (_phantoms_key(diseased, section), _phantoms_key(healthy, section))
        for section in one
        if one[section] != other[section]
    ]
    if keys:
        ill, well = keys[0]
        raise ValueError(
            f"cohorts: {ill} differs from {well}: a difference between the cohorts would be one of "
            "these, too; write the same in both"
        )


def _people(dataset: Simulated) -> dict[str, Any]:
    """All that is said of the phantoms but their disease, by section."""
    phantoms, regions = dataset.study.phantoms, _regions(dataset)
    found = {name: getattr(phantoms, name) for name in PhantomSettings.model_fields}
    del found["regions"]
    varied = {name: value for name, value in regions if name != "disease"}
    return {**found, **{f"regions.{name}": value for name, value in varied.items()}}


def _require_same_restorations(diseased: Simulated, healthy: Simulated) -> None:
    """The same methods that learned alike, with as many trainings of each."""
    ill, well = _restorations(diseased), _restorations(healthy)
    if ill == well:
        return
    learned = [{each[:-1] for each in runs} for runs in (ill, well)]
    if learned[0] == learned[1]:
        raise ValueError(
            f"cohorts: {diseased.key('replicates')} differs from {healthy.key('replicates')}: both are "
            "compared training by training; write the same in both"
        )
    setting, method, word = min(learned[0] ^ learned[1])
    name = (diseased if (setting, method, word) in learned[0] else healthy).name
    raise ValueError(
        f"cohorts: {_regimes_words(diseased)} differs from {_regimes_words(healthy)}: {method} restores "
        f"only {name}/{setting} having learned {word!r}; compare domains of the same regimes"
    )


def _restorations(dataset: Simulated) -> set[tuple[str, str, str, str]]:
    """(setting, method, how it learned, replicate) of everything that is scored."""
    return {
        (run.setting, run.method, dataset.learning_word(run.method, run.regime), run.replicate)
        for run in dataset.scored
    }


def _regimes_words(dataset: Simulated) -> str:
    if dataset.domain:
        return dataset.key("regimes")
    return f"{dataset.name!r}, where methods learn on it alone"


def _require_heads(diseased: Simulated, healthy: Simulated) -> None:
    """The same heads or others; template heads are drawn anew for each data set."""
    ill, well = set(diseased.study.splits.test), set(healthy.study.splits.test)
    if diseased.study.phantoms.source != "template" and ill != well and ill & well:
        raise ValueError(
            f"cohorts: {diseased.key('splits')}.test and {healthy.key('splits')}.test share the heads "
            f"{', '.join(sorted(ill & well))}, but not all; give both the same heads, or none in common"
        )
