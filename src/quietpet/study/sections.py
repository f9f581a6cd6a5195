"""The sections of a study, and what they say of its data sets, trainings and regimes."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Any, Self

from pydantic import Field, model_validator

from quietpet.acquisition.dose import grey_matter_kbq_per_ml
from quietpet.config.acquisition import AcquisitionSettings
from quietpet.config.datasets import DatasetSettings, SliceSettings, SplitSettings
from quietpet.config.doses import DoseLevels
from quietpet.config.evaluation import EvaluationSettings
from quietpet.config.networks import InferenceSettings, TrainingSettings
from quietpet.config.phantoms import PhantomSettings
from quietpet.config.registration import RegistrationSettings
from quietpet.config.scanner import ScannerSettings
from quietpet.config.section import Label, Section
from quietpet.config.standin import StandinSettings
from quietpet.invivo.settings import InvivoSettings
from quietpet.learning import LearningSettings, Training, last_training, training_before
from quietpet.methods.diffusion.options import DiffusionSettings
from quietpet.methods.diffusion.planner import PlannerSettings
from quietpet.methods.registry import AnyMethodSettings
from quietpet.seeds import named_seed
from quietpet.study.domains import PHANTOM, DomainSettings
from quietpet.units import KBQ_PER_ML, RELATIVE_ACTIVITY


class StudySections(Section):
    """Every section of ``config.yaml``, each checked by itself alone."""

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

    def of_dataset(self, name: str) -> Self:
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

        Without a ``regime`` it is that on this data set alone. Settings that differ in their test slices
        alone share their trainings.
        """
        dataset, setting = self._first_alike(dataset, setting)
        if self.learning is None or not regime:
            return Training(dataset=dataset, setting=setting)
        return self._shared(
            last_training(self.learning, self.learning.regimes[regime], dataset=dataset, setting=setting)
        )

    def training_before(self, training: Training) -> Training | None:
        """The training whose weights ``training`` starts from, if it does not start afresh."""
        before = training_before(self.learning, training)
        return before and self._shared(before)

    def _shared(self, training: Training) -> Training:
        """The one training of all those on the same data."""
        dataset, setting = self._first_alike(training.dataset, training.setting)
        return replace(training, dataset=dataset, setting=setting)

    def _first_alike(self, dataset: str, setting: str) -> tuple[str, str]:
        """The first data set and setting with the same training and validation slices.

        Simulated ones have draws of their own, so each is alike to none but itself.
        """
        if dataset not in self.invivo_names:
            return dataset, setting
        cohorts = self.in_vivo.datasets
        wanted = cohorts[dataset].learned_from(setting)
        alike = (
            (other, each)
            for other, cohort in cohorts.items()
            for each in cohort.settings
            if cohort.learned_from(each) == wanted
        )
        return next(alike)

    def iterations_of(self, *, dataset: str, setting: str, regime: str) -> tuple[int, ...]:
        """Iterations of the trainings that a network went through, the first stage first."""
        training = self.weights_for(dataset=dataset, setting=setting, regime=regime)
        found = [self.training_of(training).iterations]
        while training := self.training_before(training):
            found.append(self.training_of(training).iterations)
        return tuple(reversed(found))

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
