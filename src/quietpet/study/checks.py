"""What the sections of a study require of each other.

Every check raises ValueError with the key, its value and the remedy.
"""

from __future__ import annotations

from collections.abc import Iterator

from pydantic import ValidationError

from quietpet.config.datasets import SPLITS, SplitSettings
from quietpet.config.domains import PHANTOM, DomainSettings
from quietpet.config.learning import OWN, LearningSettings
from quietpet.config.method_kinds import method_kinds
from quietpet.config.methods import require_batch
from quietpet.data_source import PHANTOMS
from quietpet.geometry.scanner import SCANNERS
from quietpet.study.cohorts import require_comparable_cohorts
from quietpet.study.contents import StudyContents
from quietpet.study.data_sets import DataSet, Scanned
from quietpet.study.dose_amounts import require_doses
from quietpet.study.gallery import require_gallery
from quietpet.study.mistakes import explain
from quietpet.study.observers import require_observers
from quietpet.study.realisations import require_realisations
from quietpet.study.robustness import require_robustness
from quietpet.study.t1 import require_t1_where_needed, require_variants
from quietpet.study.trainings import of_own_setting
from quietpet.study.windows import require_frames_of_windows


def require_consistent(study: StudyContents) -> None:
    """Raise ValueError at the first of the sections that contradicts another."""
    _require_calibration(study)
    _require_names(study)
    _require_sizes(study)
    _require_batches(study)
    _require_costs(study)
    _require_reference(study)
    require_variants(study)
    _require_scanner_limits(study)
    _require_domains(study)
    _require_invivo(study)
    _require_transforms(study)
    _require_standin(study)
    require_frames_of_windows(study)
    _require_stages(study)
    require_t1_where_needed(study)
    require_comparable_cohorts(study)
    require_robustness(study)
    require_doses(study)
    require_gallery(study)
    require_realisations(study)
    require_observers(study)


def _require_calibration(study: StudyContents) -> None:
    scans = [name for name, level in study.doses.levels.items() if level.scan]
    if study.acquisition.calibration is None:
        if scans:
            raise ValueError(
                f"dose {scans[0]!r} is given by a scan, which needs acquisition.calibration to "
                "become counts; add it, or give counts"
            )
    elif "standard" not in scans:
        raise ValueError(
            "acquisition.calibration gives images in kBq/ml, for which doses.standard needs a scan "
            "(injected_mbq, uptake_minutes, minutes) in place of counts"
        )
    elif study.phantoms.activity.grey_matter == 0:
        raise ValueError(
            "acquisition.calibration scales phantoms.activity by its grey matter, which is 0"
        )


def _require_names(study: StudyContents) -> None:
    kinds = method_kinds()
    for name, method in study.methods.items():
        if name in kinds and method.kind != name:
            raise ValueError(
                f"methods.{name} has kind = {method.kind!r}, but {name} is itself a kind of method: its "
                "rows would be taken for that one's; choose another name"
            )


def _require_reference(study: StudyContents) -> None:
    name = study.evaluation.compare_with
    if name is not None and name not in study.methods:
        raise ValueError(
            f"evaluation.compare_with = {name!r} is no method of this study; name one of "
            f"{', '.join(study.methods)}, or leave it out"
        )


def _require_sizes(study: StudyContents) -> None:
    for name, pixels in (
        ("training.patch_pixels", study.training.patch_pixels or 0),
        ("inference.pixels", study.inference.pixels),
        ("evaluation.paper_window_pixels", study.evaluation.paper_window_pixels),
    ):
        if pixels > study.datasets.pixels:
            raise ValueError(
                f"{name} = {pixels} is larger than datasets.pixels = {study.datasets.pixels}, "
                "the image it is cut from"
            )
    trained_on = study.training.patch_pixels or study.datasets.pixels
    for name, method in study.methods.items():
        for pixels in (trained_on, study.inference.pixels):
            if pixels % method.divisor:
                raise ValueError(
                    f"methods.{name} takes images whose sides are multiples of {method.divisor}, "
                    f"not {pixels} (training.patch_pixels or datasets.pixels, inference.pixels)"
                )


def _require_batches(study: StudyContents) -> None:
    for name, method in study.methods.items():
        try:
            own = method.own_training
        except ValueError as error:
            raise ValueError(f"methods.{name}: {error}") from None
        batch_size = (own and own.batch_size) or study.training.batch_size
        require_batch(method, batch_size, f"methods.{name}")


def _require_costs(study: StudyContents) -> None:
    for name in study.training_costs:
        if name not in study.methods:
            raise ValueError(f"training_costs: no method {name!r}; there are {', '.join(study.methods)}")
        if (trained := study.trained_as(name)) != name:
            raise ValueError(
                f"training_costs.{name}: restores by the training of {trained!r} and has no cost "
                f"of its own; name {trained!r}, or remove it"
            )
    for name, method in study.methods.items():
        if method.cost_of is None:
            continue
        key = f"methods.{name}.cost_of = {method.cost_of!r}"
        other = study.methods.get(method.cost_of)
        if other is None:
            raise ValueError(f"{key}: no such method; there are {', '.join(study.methods)}")
        if method.cost_of == name:
            raise ValueError(f"{key}: is this method itself; name another, or remove it")
        if not (method.trained and other.trained):
            raise ValueError(f"{key}: a method that is not trained has no iterations; remove it")
        if other.cost_of is not None:
            raise ValueError(
                f"{key}: has the iterations of another method itself; name that, {other.cost_of!r}"
            )
        for needed in map(study.trained_as, (name, method.cost_of)):
            if needed not in study.training_costs:
                raise ValueError(
                    f"{key}: training_costs lacks {needed!r}; add the core seconds of 1000 of its "
                    "iterations, 1000 divided by iterations_per_s of a training.csv"
                )


def _require_scanner_limits(study: StudyContents) -> None:
    scanner = SCANNERS[study.scanner.model]()
    limits = [
        ("scanner.image_pixels", study.scanner.image_pixels, scanner.n_bins, "bins"),
        ("datasets.pixels", study.datasets.pixels, scanner.n_bins, "bins"),
        ("slices.indices", max(study.slices.indices), scanner.n_image_slices - 1, "last slice"),
        (
            "acquisition.randoms_window",
            study.acquisition.randoms_window,
            min(scanner.sinogram_shape),
            "views or bins",
        ),
    ]
    doses = {"standard": study.doses.standard, **{f"low.{n}": d for n, d in study.doses.low.items()}}
    limits += [(f"doses.{n}.subsets", d.subsets, scanner.n_views, "views") for n, d in doses.items()]
    limits += [
        (f"methods.{n}.subsets", m.least_views, scanner.n_views, "views")
        for n, m in study.methods.items()
    ]
    if study.standin:
        limits.append(("standin.scan.subsets", study.standin.scan.subsets, scanner.n_views, "views"))
    for name, value, limit, what in limits:
        if value > limit:
            raise ValueError(f"{name} = {value} is larger than {limit}, the {what} of {scanner.name}")


def _require_domains(study: StudyContents) -> None:
    if bool(study.domains or study.invivo) != (study.learning is not None):
        raise ValueError("domains or invivo, and learning, belong together: give both or none")
    if PHANTOM in study.domains:
        raise ValueError(f"domains: {PHANTOM!r} is the name of the study's own data set")
    for name, domain in study.domains.items():
        _require_own_learning(study, name, domain)
        view = study.simulated[name].study
        try:
            _require_calibration(view)
            _require_scanner_limits(view)
        except ValueError as error:
            raise ValueError(f"domains.{name}: {error}") from None
    _roles_of_subjects(study)
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


def _roles_of_subjects(study: StudyContents) -> dict[str, str]:
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


def _require_invivo(study: StudyContents) -> None:
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


def _require_transforms(study: StudyContents) -> None:
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


def _require_standin(study: StudyContents) -> None:
    roles = _roles_of_subjects(study)
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


def _require_stages(study: StudyContents) -> None:
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
