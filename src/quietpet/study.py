"""A whole study: every section of ``config.yaml`` together, checked against each other.

Kept free of torch, so that Snakemake validates a study in well under a second.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml
from pydantic import Field, ValidationError, model_validator

from quietpet.acquisition.dose import grey_matter_kbq_per_ml
from quietpet.config import (
    AcquisitionSettings,
    DatasetSettings,
    DoseSettings,
    EvaluationSettings,
    InferenceSettings,
    Label,
    LesionSettings,
    LowDoseSettings,
    PhantomSettings,
    RegistrationSettings,
    ScannerSettings,
    Section,
    SliceSettings,
    SplitSettings,
    StandinSettings,
    TissueValues,
    TrainingSettings,
)
from quietpet.errors import InputError
from quietpet.geometry.scanner import SCANNERS
from quietpet.invivo.settings import InvivoSettings
from quietpet.learning import LearningSettings, Training, last_training
from quietpet.methods.diffusion.options import DiffusionSettings
from quietpet.methods.diffusion.planner import PlannerSettings
from quietpet.methods.registry import AnyMethodSettings, method_kinds
from quietpet.seeds import named_seed
from quietpet.units import KBQ_PER_ML, RELATIVE_ACTIVITY

SPLITS = ("train", "validation", "test")
PHANTOM = "phantom"
"""Name of the data set that a study always simulates."""


class DoseLevels(Section):
    """The standard dose, and the low-dose levels that are to be restored to it."""

    standard: DoseSettings
    low: dict[Label, LowDoseSettings] = Field(min_length=1)

    @model_validator(mode="after")
    def _names(self) -> DoseLevels:
        if "standard" in self.low:
            raise ValueError("a low-dose level cannot be called 'standard'")
        published = [name for name, level in self.low.items() if level.published]
        if len(published) > 1:
            raise ValueError(f"at most one level is the published one, got {published}")
        return self

    def level(self, name: str) -> DoseSettings:
        return self.standard if name == "standard" else self.low[name]

    @property
    def levels(self) -> dict[str, DoseSettings]:
        """Every level by its name, the standard dose first."""
        return {"standard": self.standard, **self.low}

    @property
    def thinned(self) -> tuple[str, ...]:
        """Names of the levels that keep a part of the standard dose's events."""
        return tuple(name for name, level in self.low.items() if level.thinned)

    @property
    def simulated(self) -> tuple[str, ...]:
        """Names of the levels that are scans of their own."""
        return tuple(name for name in self.levels if name not in self.thinned)


class DomainSettings(Section):
    """A further simulated data set; sections that are not given are those of the study.

    Its draws are independent of those of the other data sets.
    """

    activity: TissueValues | None = Field(None, description="in place of phantoms.activity")
    t1: TissueValues | None = Field(None, description="in place of phantoms.t1")
    lesions: LesionSettings | None = Field(None, description="in place of phantoms.lesions")
    slices: SliceSettings | None = None
    splits: SplitSettings | None = None
    acquisition: AcquisitionSettings | None = None
    doses: DoseLevels


class Study(Section):
    """Everything that decides the numbers in ``results/tables.csv``."""

    protocol: Label = Field(description="name of this study in the table column 'protocol'")
    study_seed: int = Field(0, ge=0, description="changes every random draw of the study")
    phantoms: PhantomSettings = PhantomSettings()
    slices: SliceSettings = SliceSettings()
    splits: SplitSettings
    scanner: ScannerSettings = ScannerSettings()
    acquisition: AcquisitionSettings = AcquisitionSettings()
    doses: DoseLevels
    domains: dict[Label, DomainSettings] = Field(
        {}, description="further simulated data sets, restored by networks that learn in stages"
    )
    registration: RegistrationSettings = RegistrationSettings()
    invivo: InvivoSettings | None = Field(
        None, description="data sets of real (or stand-in) scans; none: phantoms alone"
    )
    standin: StandinSettings | None = Field(
        None, description="simulated in-vivo scans, written as BIDS data sets; none: no such data sets"
    )
    datasets: DatasetSettings = DatasetSettings()
    training: TrainingSettings = TrainingSettings()
    learning: LearningSettings | None = Field(
        None, description="how networks learn to restore the data sets in domains and invivo"
    )
    replicates: int = Field(1, ge=1, description="trainings of each network from different seeds")
    inference: InferenceSettings = InferenceSettings()
    methods: dict[Label, AnyMethodSettings] = Field(min_length=1)
    planner: PlannerSettings = PlannerSettings()
    evaluation: EvaluationSettings = EvaluationSettings()

    @model_validator(mode="before")
    @classmethod
    def _kind_defaults_to_name(cls, raw: Any) -> Any:
        methods = raw.get("methods") if isinstance(raw, dict) else None
        if not isinstance(methods, dict):
            return raw
        filled = {
            name: {"kind": name, **(entry or {})} if isinstance(entry, dict | None) else entry
            for name, entry in methods.items()
        }
        return {**raw, "methods": filled}

    @model_validator(mode="after")
    def _calibrated(self) -> Study:
        scans = [name for name, level in self.doses.levels.items() if level.scan]
        if self.acquisition.calibration is None:
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
        elif self.phantoms.activity.grey_matter == 0:
            raise ValueError(
                "acquisition.calibration scales phantoms.activity by its grey matter, which is 0"
            )
        return self

    @model_validator(mode="after")
    def _sizes_fit(self) -> Study:
        for name, pixels in (
            ("training.patch_pixels", self.training.patch_pixels or 0),
            ("inference.pixels", self.inference.pixels),
            ("evaluation.paper_window_pixels", self.evaluation.paper_window_pixels),
        ):
            if pixels > self.datasets.pixels:
                raise ValueError(
                    f"{name} = {pixels} is larger than datasets.pixels = {self.datasets.pixels}, "
                    "the image it is cut from"
                )
        trained_on = self.training.patch_pixels or self.datasets.pixels
        for name, method in self.methods.items():
            for pixels in (trained_on, self.inference.pixels):
                if pixels % method.divisor:
                    raise ValueError(
                        f"methods.{name} takes images whose sides are multiples of {method.divisor}, "
                        f"not {pixels} (training.patch_pixels or datasets.pixels, inference.pixels)"
                    )
        return self

    @model_validator(mode="after")
    def _fits_the_scanner(self) -> Study:
        scanner = SCANNERS[self.scanner.model]()
        limits = [
            ("scanner.image_pixels", self.scanner.image_pixels, scanner.n_bins, "bins"),
            ("datasets.pixels", self.datasets.pixels, scanner.n_bins, "bins"),
            ("slices.indices", max(self.slices.indices), scanner.n_image_slices - 1, "last slice"),
            (
                "acquisition.randoms_window",
                self.acquisition.randoms_window,
                min(scanner.sinogram_shape),
                "views or bins",
            ),
        ]
        doses = {"standard": self.doses.standard, **{f"low.{n}": d for n, d in self.doses.low.items()}}
        limits += [(f"doses.{n}.subsets", d.subsets, scanner.n_views, "views") for n, d in doses.items()]
        limits += [
            (f"methods.{n}.subsets", m.least_views, scanner.n_views, "views")
            for n, m in self.methods.items()
        ]
        if self.standin:
            limits.append(("standin.scan.subsets", self.standin.scan.subsets, scanner.n_views, "views"))
        for name, value, limit, what in limits:
            if value > limit:
                raise ValueError(
                    f"{name} = {value} is larger than {limit}, the {what} of {scanner.name}"
                )
        return self

    @model_validator(mode="after")
    def _domains_fit(self) -> Study:
        if bool(self.domains or self.invivo) != (self.learning is not None):
            raise ValueError("domains or invivo, and learning, belong together: give both or none")
        if PHANTOM in self.domains:
            raise ValueError(f"domains: {PHANTOM!r} is the name of the study's own data set")
        for name in self.domains:
            view = self.of_dataset(name)
            try:
                view._calibrated()
                view._fits_the_scanner()
            except ValueError as error:
                raise ValueError(f"domains.{name}: {error}") from None
            self._require_same_roles(name, view)
            self._require_same_making(name, view)
        return self

    def _require_same_roles(self, name: str, view: Study) -> None:
        roles = {s: split for split in SPLITS for s in getattr(self.splits, split)}
        for split in SPLITS:
            for subject in getattr(view.splits, split):
                if roles.get(subject, split) != split:
                    raise ValueError(
                        f"domains.{name}.splits: subject {subject!r} is in {split!r}, but in "
                        f"{roles[subject]!r} of splits; its anatomy would leak between the data sets"
                    )

    def _require_same_making(self, name: str, view: Study) -> None:
        for thinned, simulated in ((self, view), (view, self)):
            if both := set(thinned.doses.thinned) & set(simulated.doses.simulated):
                raise ValueError(
                    f"domains.{name}.doses: {min(both)!r} is thinned in one data set and a scan of its "
                    "own in another; give them different names"
                )

    @model_validator(mode="after")
    def _invivo_fits(self) -> Study:
        taken = {PHANTOM, *self.domains}
        for method in self.invivo.without if self.invivo else ():
            if method not in self.methods:
                raise ValueError(
                    f"invivo.without: no method {method!r}; there are {', '.join(self.methods)}"
                )
        for name, cohort in self.invivo.datasets.items() if self.invivo else ():
            if name in taken:
                raise ValueError(
                    f"invivo.datasets: {name!r} is a simulated data set; choose another name"
                )
            if (self.invivo.replicates or 1) > self.replicates:
                raise ValueError(
                    f"invivo.replicates = {self.invivo.replicates} is larger than replicates = "
                    f"{self.replicates}: each starts from its own replicate on the phantoms"
                )
            for setting in cohort.settings:
                for regime in cohort.regimes_of(setting) or ():
                    if regime not in self.learning.regimes:
                        raise ValueError(
                            f"invivo.datasets.{name}: {setting} has the regime {regime!r}, but there "
                            f"are {', '.join(self.learning.regimes)} in learning.regimes"
                        )
        return self

    @model_validator(mode="after")
    def _standin_fits(self) -> Study:
        roles = {subject: split for split in SPLITS for subject in getattr(self.splits, split)}
        known = self.standin.cohorts if self.standin else {}
        for place, cohort, splits in self._simulated_scans():
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
        return self

    def _simulated_scans(self) -> Iterator[tuple[str, str, SplitSettings]]:
        """Place in the configuration, cohort and splits of every setting that uses simulated scans."""
        for name, dataset in self.invivo.datasets.items() if self.invivo else ():
            if cohort := self.invivo.sources[dataset.source].cohort:
                for setting in dataset.settings:
                    place = f"invivo.datasets.{name}.settings.{setting}"
                    yield place, cohort, dataset.splits_of(setting)

    @model_validator(mode="after")
    def _stages_fit(self) -> Study:
        if self.learning is None:
            return self
        for reference in self.learning.references:
            known = [
                f"{name}/{setting}"
                for name in (*self.dataset_names, *self.invivo_names)
                for setting in self.settings_of(name)
            ]
            if reference not in known:
                raise ValueError(
                    f"learning.stages: no data set {reference!r}; there are {', '.join(known)}"
                )
        for name, stage in self.learning.stages.items():
            try:
                stage.training(self.training)
            except ValidationError as error:
                raise ValueError(f"learning.stages.{name}: {explain(error)}") from None
        return self

    @property
    def subjects(self) -> tuple[str, ...]:
        """Subjects of all data sets, and those whose heads the stand-in scans."""
        views = map(self.of_dataset, self.dataset_names)
        phantoms = [subject for view in views for subject in view.splits.subjects]
        return tuple(dict.fromkeys((*phantoms, *(self.standin.anatomies if self.standin else ()))))

    @property
    def in_vivo(self) -> InvivoSettings:
        """The section ``invivo``, for those who need one; ValueError without."""
        if self.invivo is None:
            raise ValueError("this study has no section invivo")
        return self.invivo

    @property
    def diffusion_methods(self) -> tuple[str, ...]:
        """Methods that sample."""
        return tuple(n for n, each in self.methods.items() if isinstance(each, DiffusionSettings))

    @property
    def dataset_names(self) -> tuple[str, ...]:
        """All simulated data sets, the study's own first."""
        return (PHANTOM, *self.domains)

    @property
    def invivo_names(self) -> tuple[str, ...]:
        """All data sets of scans."""
        return tuple(self.invivo.datasets) if self.invivo else ()

    def settings_of(self, dataset: str) -> tuple[str, ...]:
        """Low doses of a simulated data set, settings of one of scans."""
        if dataset in self.invivo_names:
            return tuple(self.invivo.datasets[dataset].settings)
        return tuple(self.of_dataset(dataset).doses.low)

    def methods_for(self, dataset: str) -> tuple[str, ...]:
        """Methods that restore a data set: scans come without sinograms."""
        if dataset not in self.invivo_names:
            return tuple(self.methods)
        return tuple(
            name
            for name, method in self.methods.items()
            if not method.reconstructs and name not in self.in_vivo.without
        )

    def of_dataset(self, name: str) -> Study:
        """The study as if the simulated data set ``name`` were its only one."""
        if name == PHANTOM:
            return self
        domain = self.domains[name]
        parts = ("slices", "splits", "acquisition", "doses")
        phantoms = ("activity", "t1", "lesions")
        return self.model_copy(
            update={
                **_given(domain, parts),
                "phantoms": self.phantoms.model_copy(update=_given(domain, phantoms)),
                "study_seed": named_seed(self.study_seed, "domain", name),
                "domains": {},
                "invivo": None,
                "learning": None,
            }
        )

    def replicates_of(self, *, dataset: str, method: str) -> tuple[str, ...]:
        """Names of the trainings of ``method`` for a data set; one where the seed changes nothing."""
        method_settings = self.methods[method]
        count = self.replicates
        if dataset in self.invivo_names:
            count = self.in_vivo.replicates or count
        return tuple(f"r{number}" for number in range(count if method_settings.trained else 1))

    def training_of(self, training: Training) -> TrainingSettings:
        """Optimisation of one training of a network."""
        if self.learning is None or not training.stages:
            return self.training
        return self.learning.stages[training.stages[-1]].training(self.training)

    def weights_for(self, *, dataset: str, setting: str, regime: str) -> Training:
        """The training whose weights restore ``setting`` of ``dataset``.

        Without a ``regime`` it is that on this data set alone.
        """
        if self.learning is None or not regime:
            return Training(dataset=dataset, setting=setting)
        return last_training(
            self.learning, self.learning.regimes[regime], dataset=dataset, setting=setting
        )

    def regimes(self, *, dataset: str, setting: str, method: str) -> tuple[str, ...]:
        """Regimes under which ``method`` is scored on a setting; "" is no regime."""
        if self.learning is None or dataset == PHANTOM or not self.methods[method].trained:
            return ("",)
        cohort = self.in_vivo.datasets[dataset] if dataset in self.invivo_names else None
        chosen = cohort.regimes_of(setting) if cohort else None
        return tuple(self.learning.regimes) if chosen is None else chosen

    def learning_word(self, dataset: str, method: str, regime: str) -> str:
        """Value of the table column 'learning'."""
        word = self.methods[method].learning
        if regime or word == "-":
            return regime or word
        return word if dataset == PHANTOM else "internal"

    def describe(self) -> str:
        """What is simulated, in words: one line for the acquisition, the images and each dose."""
        lines = [f"Acquisition: {self.acquisition.describe()}.", f"Images: {self._units()}."]
        lines += [f"Dose {name}: {level.describe()}." for name, level in self.doses.levels.items()]
        lines += [self.invivo.describe()] if self.invivo else []
        return "\n".join(lines)

    def _units(self) -> str:
        calibration, scan = self.acquisition.calibration, self.doses.standard.scan
        if calibration is None or scan is None:
            return f"{RELATIVE_ACTIVITY}, as in phantoms.activity"
        grey_matter = grey_matter_kbq_per_ml(
            scan, calibration, half_life_minutes=self.acquisition.half_life_minutes
        )
        return (
            f"{KBQ_PER_ML} at the start of the standard scan, at every dose; grey matter is "
            f"{grey_matter:.3g} (SUV {calibration.grey_matter_suv:g}, {calibration.weight_kg:g} kg)"
        )


def _given(section: Section, names: Iterable[str]) -> dict[str, Any]:
    """The values that ``section`` has for ``names``."""
    return {name: value for name in names if (value := getattr(section, name)) is not None}


def load_study(raw: Mapping[str, Any], *, origin: str) -> Study:
    """Check a parsed configuration; ``origin`` names the file in the error message."""
    try:
        return Study.model_validate(dict(raw))
    except ValidationError as error:
        raise InputError(f"{origin}: {explain(error)}") from None


def explain(error: ValidationError) -> str:
    """One line per mistake: the key, what is wrong, the value found."""
    lines = []
    for problem in error.errors(include_url=False):
        key = ".".join(str(part) for part in problem["loc"]) or "(whole file)"
        message = problem["msg"].removeprefix("Value error, ")
        if problem["type"] == "extra_forbidden":
            message = "unknown key; remove it or correct its spelling"
        elif problem["type"] == "union_tag_invalid":
            message = f"unknown method; known kinds are {', '.join(method_kinds())}"
        elif problem["type"] not in ("missing", "value_error"):
            message = f"{message}, got {problem['input']!r}"
        lines.append(f"{key}: {message}")
    return "\n  ".join(lines)


def json_schema() -> dict[str, Any]:
    """JSON schema of the configuration, for editors; kept in step by a test."""
    schema = Study.model_json_schema()
    # In the file a method's kind defaults to its key, which a schema cannot express: any may match.
    for entry in schema["properties"]["methods"]["patternProperties"].values():
        del entry["discriminator"]
        entry["anyOf"] = entry.pop("oneOf")
    return schema


def read_yaml(path: Path) -> Mapping[str, Any]:
    """Parse a YAML configuration file."""
    try:
        parsed = yaml.safe_load(path.read_text())
    except OSError as error:
        raise InputError(f"{path}: not a readable configuration file ({error.strerror}).") from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: not valid YAML ({error}).") from None
    if not isinstance(parsed, dict):
        raise InputError(f"{path}: holds no configuration (keys with values), but {parsed!r:.60}.")
    return parsed
