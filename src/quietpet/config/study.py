"""The configuration of a study: every section of ``config.yaml``."""

from __future__ import annotations

from typing import Any

from pydantic import Field, model_validator

from quietpet.config.acquisition import AcquisitionSettings
from quietpet.config.comparison import CohortComparison
from quietpet.config.datasets import DatasetSettings, SliceSettings, SplitSettings
from quietpet.config.domains import DomainSettings
from quietpet.config.dose_response import DoseResponseSettings
from quietpet.config.doses import DoseLevels
from quietpet.config.evaluation import EvaluationSettings
from quietpet.config.invivo import InvivoSettings
from quietpet.config.learning import LearningSettings
from quietpet.config.method_kinds import AnyMethodSettings
from quietpet.config.networks import InferenceSettings, TrainingSettings
from quietpet.config.observers import ObserverSettings
from quietpet.config.phantoms import PhantomSettings
from quietpet.config.planner import PlannerSettings
from quietpet.config.realisations import RealisationSettings
from quietpet.config.registration import RegistrationSettings
from quietpet.config.report import ReportSettings
from quietpet.config.robustness import RobustnessSettings
from quietpet.config.scanner import ScannerSettings
from quietpet.config.section import Label, Positive, Section
from quietpet.config.standin import StandinSettings
from quietpet.config.uncertainty import UncertaintySettings


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
    training_costs: dict[Label, Positive] = Field(
        {},
        description="core seconds of 1000 iterations of a method, all measured alike (1000 divided by "
        "iterations_per_s of its training.csv, trained on one core): what cost_of is counted with. "
        "Stated, not measured by the study, so that its results depend on no machine",
    )
    learning: LearningSettings | None = Field(
        None, description="how networks learn to restore the data sets in domains and invivo"
    )
    replicates: int = Field(1, ge=1, description="trainings of each network from different seeds")
    inference: InferenceSettings = InferenceSettings()
    methods: dict[Label, AnyMethodSettings] = Field(min_length=1)
    planner: PlannerSettings = PlannerSettings()
    evaluation: EvaluationSettings = EvaluationSettings()
    uncertainty: UncertaintySettings = UncertaintySettings()
    dose_response: DoseResponseSettings = DoseResponseSettings()
    robustness: RobustnessSettings | None = Field(
        None, description="test slices restored again with a wrong T1; none: they are not"
    )
    realisations: RealisationSettings | None = Field(
        None, description="test slices measured again and again, with known lesions; none: they are not"
    )
    observers: ObserverSettings = Field(
        ObserverSettings(), description="how lesions are looked for in the section realisations"
    )
    cohorts: CohortComparison | None = Field(
        None, description="healthy and diseased data sets that are compared region by region; none: off"
    )

    report: ReportSettings = ReportSettings()

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
