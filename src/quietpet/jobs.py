"""What each job must know: the part of a study that one stage sees, passed to it as JSON.

A stage's result depends on these values, its input files and its code, and on nothing else.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, Literal, Self

from pydantic import model_validator

from quietpet.config import (
    AcquisitionSettings,
    DoseSettings,
    EvaluationSettings,
    InferenceSettings,
    Label,
    LesionSettings,
    PhantomSource,
    Positive,
    ProjectorChoice,
    ReconstructionSettings,
    RegistrationSettings,
    ScannerModel,
    ScannerSettings,
    ScanSettings,
    Section,
    SliceSettings,
    StandinCohortSettings,
    StandinParticipant,
    StandinScanSettings,
    SubjectId,
    TemplateSettings,
    ThinningSettings,
    TissueValues,
    TrainingSettings,
)
from quietpet.invivo.settings import (
    CohortSetting,
    SlicePlaneSettings,
    SourceSettings,
    WindowSettings,
)
from quietpet.learning import Training, training_before, training_data
from quietpet.methods.diffusion.options import DiffusionSettings
from quietpet.methods.diffusion.planner import PlannerSettings
from quietpet.methods.registry import AnyMethodSettings
from quietpet.study import Study

CACHE_VARIABLE = "QUIETPET_BRAINWEB"
DEFAULT_CACHE = "resources/brainweb"
PLANNED_REPLICATE = "r0"
"""The training whose sampling is planned; what is chosen holds for all."""


class FetchInvivoJob(Section):
    """Have one participant's PET, T1 and side-cars on disk, and say where they are."""

    name: str
    source: SourceSettings
    participant: str
    root: str

    @classmethod
    def of(cls, study: Study, *, source: str, participant: str) -> FetchInvivoJob:
        settings = study.in_vivo.sources[source]
        named = settings.root
        return cls(
            name=source,
            source=settings,
            participant=participant,
            root=_from_here(named) if named else f"resources/{settings.accession or settings.cohort}",
        )


class ImportScanJob(Section):
    """Average the windows of one scan's frames, and take its T1 along."""

    source: str
    participant: str
    windows: dict[str, WindowSettings]
    rounding: Literal["nearest", "down", "up"]
    requirements: dict[str, CohortSetting]

    @classmethod
    def of(cls, study: Study, *, source: str, participant: str) -> ImportScanJob:
        return cls(
            source=source,
            participant=participant,
            windows=study.in_vivo.windows_of(source),
            rounding=study.in_vivo.rounding,
            requirements=study.in_vivo.requirements(source, participant),
        )


class FetchJob(Section):
    """Decide where the phantoms come from, and have their label volumes ready."""

    source: PhantomSource
    subjects: tuple[str, ...]
    cache_dir: str
    cache_is_named: bool

    @classmethod
    def of(cls, study: Study) -> FetchJob:
        named = os.environ.get(CACHE_VARIABLE) or study.phantoms.cache_dir
        return cls(
            source=study.phantoms.source,
            subjects=study.subjects,
            cache_dir=_from_here(named) if named else DEFAULT_CACHE,
            cache_is_named=bool(named),
        )


class PhantomJob(Section):
    """Turn one subject's labels into activity, attenuation, T1 and lesions on the scanner grid."""

    study_seed: int
    subject: str
    scanner_model: ScannerModel
    image_pixels: int
    activity: TissueValues
    mu_per_cm: TissueValues
    t1: TissueValues
    lesions: LesionSettings
    template: TemplateSettings

    @classmethod
    def of(cls, study: Study, *, subject: str) -> PhantomJob:
        phantoms = study.phantoms
        return cls(
            study_seed=study.study_seed,
            subject=subject,
            scanner_model=study.scanner.model,
            image_pixels=study.scanner.image_pixels,
            activity=phantoms.activity,
            mu_per_cm=phantoms.mu_per_cm,
            t1=phantoms.t1,
            lesions=phantoms.lesions,
            template=phantoms.template,
        )


class SlicesJob(Section):
    """Cut and rotate the transaxial slices of one phantom."""

    study_seed: int
    subject: str
    slices: SliceSettings

    @classmethod
    def of(cls, study: Study, *, subject: str) -> SlicesJob:
        return cls(study_seed=study.study_seed, subject=subject, slices=study.slices)


class EngineJob(Section):
    """Decide which engine computes the projections of a study whose ``scanner.projector`` is auto."""

    projector: ProjectorChoice

    @classmethod
    def of(cls, study: Study) -> EngineJob:
        return cls(projector=study.scanner.projector)


class SimulateJob(Section):
    """Measure one subject's slices at one dose.

    ``standard_scan`` and the activity of ``grey_matter`` define kBq/ml; uncalibrated studies have none.
    """

    study_seed: int
    subject: str
    dose: str
    protocol: DoseSettings
    scanner: ScannerSettings
    acquisition: AcquisitionSettings = AcquisitionSettings()
    standard_scan: ScanSettings | None = None
    grey_matter: Positive | None = None

    @classmethod
    def of(cls, study: Study, *, subject: str, dose: str) -> SimulateJob:
        calibrated = study.acquisition.calibration is not None
        return cls(
            study_seed=study.study_seed,
            subject=subject,
            dose=dose,
            protocol=_part(DoseSettings, study.doses.level(dose)),
            scanner=study.scanner,
            acquisition=study.acquisition,
            standard_scan=study.doses.standard.scan,
            grey_matter=study.phantoms.activity.grey_matter if calibrated else None,
        )


class ThinJob(Section):
    """Keep a part of the events of one subject's standard dose."""

    study_seed: int
    subject: str
    dose: str
    thinned: ThinningSettings
    randoms_window: int

    @classmethod
    def of(cls, study: Study, *, subject: str, dose: str) -> ThinJob:
        return cls(
            study_seed=study.study_seed,
            subject=subject,
            dose=dose,
            thinned=study.doses.low[dose].thinned,
            randoms_window=study.acquisition.randoms_window,
        )


class CountsJob(Section):
    """List the prompts and noise-equivalent counts of every simulated slice."""

    @classmethod
    def of(cls, study: Study) -> CountsJob:
        return cls()


class ReconstructJob(Section):
    """Reconstruct one subject's sinograms of one dose."""

    subject: str
    dose: str
    protocol: ReconstructionSettings
    scanner: ScannerSettings

    @classmethod
    def of(cls, study: Study, *, subject: str, dose: str) -> ReconstructJob:
        protocol = _part(ReconstructionSettings, study.doses.level(dose))
        return cls(subject=subject, dose=dose, protocol=protocol, scanner=study.scanner)


class RegisterJob(Section):
    """Register the PET images of one scan to its T1, and resample them once."""

    scan: str
    registration: RegistrationSettings

    @classmethod
    def of(cls, study: Study, *, scan: str) -> RegisterJob:
        return cls(scan=scan, registration=study.registration)


class PackJob(Section):
    """Join the standard- and low-dose images of a split's subjects into one data set."""

    dataset: str
    setting: str
    split: str
    subjects: tuple[str, ...]
    scanner_model: ScannerModel
    pixels: int

    @classmethod
    def of(cls, study: Study, *, dataset: str, setting: str, split: str) -> PackJob:
        study = study.of_dataset(dataset)
        return cls(
            dataset=dataset,
            setting=setting,
            split=split,
            subjects=getattr(study.splits, split),
            scanner_model=study.scanner.model,
            pixels=study.datasets.pixels,
        )


class PackScansJob(Section):
    """Cut the slices of a split's registered scans into one data set."""

    study_seed: int
    dataset: str
    setting: str
    split: str
    source: str
    participants: tuple[str, ...]
    window: str
    slices: SlicePlaneSettings
    pixels: int

    @classmethod
    def of(cls, study: Study, *, dataset: str, setting: str, split: str) -> PackScansJob:
        cohort = study.invivo.datasets[dataset]
        return cls(
            study_seed=study.study_seed,
            dataset=dataset,
            setting=setting,
            split=split,
            source=cohort.source,
            participants=getattr(cohort.splits_of(setting), split),
            window=cohort.settings[setting].window,
            slices=study.invivo.slices,
            pixels=study.datasets.pixels,
        )


class MethodJob(Section):
    """Names one replicate of one method on one data set."""

    dataset: str
    setting: str
    method: str
    replicate: str


class AcquisitionJob(Section):
    """How the low-dose sinograms of a data set were measured."""

    scanner: ScannerSettings
    protocol: ReconstructionSettings


class LearningJob(MethodJob):
    """What training and applying a method have in common."""

    study_seed: int
    model: AnyMethodSettings
    acquisition: AcquisitionJob | None = None

    @model_validator(mode="after")
    def _measured(self) -> Self:
        if self.model.reconstructs != (self.acquisition is not None):
            raise ValueError("acquisition is given for methods that reconstruct, and for no other")
        return self


class FitJob(LearningJob):
    """Train one replicate of one method, or one stage of its learning.

    ``dataset`` and ``setting`` name the validation slices and, unless ``trained_on`` names others, the
    training data. ``stages`` are those of :class:`quietpet.learning.Training`; where it ``continues``,
    others went before.
    """

    stages: tuple[str, ...] = ()
    trained_on: tuple[tuple[str, str], ...] = ()
    continues: bool = False
    training: TrainingSettings

    @classmethod
    def of(
        cls, study: Study, *, dataset: str, setting: str, method: str, replicate: str, stages: str = ""
    ) -> FitJob:
        training = Training(
            dataset=dataset, setting=setting, stages=tuple(stages.split("-")) if stages else ()
        )
        return cls(
            dataset=dataset,
            setting=setting,
            method=method,
            replicate=replicate,
            stages=training.stages,
            trained_on=training_data(study.learning, training) if training.stages else (),
            continues=training_before(study.learning, training) is not None,
            study_seed=study.study_seed,
            model=study.methods[method].for_training(),
            acquisition=_acquisition(study, dataset=dataset, method=method, setting=setting),
            training=study.training_of(training),
        )


class RestoreJob(LearningJob):
    """Restore the test slices with one trained replicate.

    ``weights_of`` names the data set that the weights were validated on, if it is another one.
    """

    learning: str
    weights_of: str | None = None
    inference: InferenceSettings

    @classmethod
    def of(
        cls, study: Study, *, dataset: str, setting: str, method: str, replicate: str, regime: str = ""
    ) -> RestoreJob:
        weights = study.weights_for(dataset=dataset, setting=setting, regime=regime)
        return cls(
            dataset=dataset,
            setting=setting,
            method=method,
            learning=study.learning_word(dataset, method, regime),
            weights_of=None if weights.dataset == dataset else weights.dataset,
            replicate=replicate,
            study_seed=study.study_seed,
            model=study.methods[method],
            acquisition=_acquisition(study, dataset=dataset, method=method, setting=setting),
            inference=study.inference,
        )


class PlanJob(LearningJob):
    """Measure quality against sampling steps of one diffusion method on the validation slices."""

    inference: InferenceSettings
    planner: PlannerSettings
    paper_window_pixels: int

    @classmethod
    def of(cls, study: Study, *, dataset: str, setting: str, method: str) -> PlanJob:
        return cls(
            dataset=dataset,
            setting=setting,
            method=method,
            replicate=PLANNED_REPLICATE,
            study_seed=study.study_seed,
            model=study.methods[method],
            inference=study.inference,
            planner=study.planner,
            paper_window_pixels=study.evaluation.paper_window_pixels,
        )

    @model_validator(mode="after")
    def _diffuses(self) -> Self:
        if not isinstance(self.model, DiffusionSettings):
            raise ValueError(f"{self.model.kind!r} is no diffusion method: it has no sampling steps")
        return self


class SamplingJob(Section):
    """Show quality against sampling steps of all diffusion methods."""

    @classmethod
    def of(cls, study: Study) -> SamplingJob:
        return cls()


class ScoreJob(MethodJob):
    """Compare restored test slices with the standard dose."""

    learning: str
    evaluation: EvaluationSettings

    @classmethod
    def of(cls, study: Study, *, regime: str = "", **names: str) -> ScoreJob:
        learning = study.learning_word(names["dataset"], names["method"], regime)
        return cls(**names, learning=learning, evaluation=study.evaluation)


class StandinJob(Section):
    """Scan one participant of a simulated in-vivo data set.

    ``participants`` holds this one, and all of them where side-cars are exchanged.
    """

    study_seed: int
    cohort: Label
    participant: SubjectId
    layout: str
    defects: bool
    infusion_minutes: Positive
    participants: dict[SubjectId, StandinParticipant]
    scan: StandinScanSettings
    scanner: ScannerSettings
    mu_per_cm: TissueValues
    t1: TissueValues
    template: TemplateSettings

    @classmethod
    def of(cls, study: Study, *, cohort: str, participant: str) -> StandinJob:
        settings = study.standin.cohorts[cohort]
        needed = settings.participants if settings.defects else (participant,)
        return cls(
            study_seed=study.study_seed,
            cohort=cohort,
            participant=participant,
            layout=settings.layout,
            defects=settings.defects,
            infusion_minutes=settings.infusion_minutes,
            participants={name: settings.participants[name] for name in needed},
            scan=study.standin.scan,
            # The stand-in is always projected by the embedded engine: thousands of slices.
            scanner=study.scanner.model_copy(update={"projector": "embedded"}),
            mu_per_cm=study.phantoms.mu_per_cm,
            t1=study.phantoms.t1,
            template=study.phantoms.template,
        )


class StandinCohortJob(Section):
    """Write the top-level files of a simulated in-vivo data set."""

    cohort: Label
    settings: StandinCohortSettings
    scan: StandinScanSettings

    @classmethod
    def of(cls, study: Study, *, cohort: str) -> StandinCohortJob:
        standin = study.standin
        return cls(cohort=cohort, settings=standin.cohorts[cohort], scan=standin.scan)


class TablesJob(Section):
    """Aggregate all scores into the tables."""

    study_seed: int
    protocol: str
    methods: dict[str, str]
    staged: tuple[str, ...] = ()
    regimes: tuple[str, ...] = ()
    trained: tuple[str, ...] = ()
    published_settings: tuple[str, ...]
    doses: dict[str, str]
    acquisition: str
    rays: int
    evaluation: EvaluationSettings

    @classmethod
    def of(cls, study: Study) -> TablesJob:
        return cls(
            study_seed=study.study_seed,
            protocol=study.protocol,
            methods={name: settings.describe() for name, settings in study.methods.items()},
            staged=tuple(
                name
                for name in (*study.domains, *study.invivo_names)
                if any(
                    len(study.regimes(dataset=name, setting=setting, method=method)) > 1
                    for setting in study.settings_of(name)
                    for method in study.methods_for(name)
                )
            ),
            regimes=tuple(study.learning.regimes) if study.learning else (),
            trained=tuple(name for name, method in study.methods.items() if method.trained),
            published_settings=tuple(name for name, level in study.doses.low.items() if level.published),
            doses={
                **{name: level.describe() for name, level in study.doses.levels.items()},
                **{
                    f"{dataset}/{name}": level.describe()
                    for dataset, domain in study.domains.items()
                    for name, level in domain.doses.levels.items()
                },
                **{
                    f"{dataset}/{setting}": study.invivo.windows.low[cohort.window].describe()
                    for dataset in study.invivo_names
                    for setting, cohort in study.invivo.datasets[dataset].settings.items()
                },
            },
            acquisition=study.acquisition.describe(),
            rays=study.scanner.rays,
            evaluation=study.evaluation,
        )


JOBS: dict[str, type[Section]] = {
    "fetch": FetchJob,
    "fetch_invivo": FetchInvivoJob,
    "import_scan": ImportScanJob,
    "phantom": PhantomJob,
    "slices": SlicesJob,
    "engine": EngineJob,
    "simulate": SimulateJob,
    "thin": ThinJob,
    "counts": CountsJob,
    "reconstruct": ReconstructJob,
    "register": RegisterJob,
    "pack": PackJob,
    "pack_scans": PackScansJob,
    "fit": FitJob,
    "restore": RestoreJob,
    "plan": PlanJob,
    "sampling": SamplingJob,
    "score": ScoreJob,
    "tables": TablesJob,
    "standin": StandinJob,
    "standin_cohort": StandinCohortJob,
}
"""Job settings of every stage, by the stage's name."""


def settings_for(study: Study, stage: str, **names: str) -> str:
    """JSON settings of one job: ``stage`` for the wildcard values ``names``.

    ``domain`` among them names the simulated data set, if it is not the study's first.
    """
    job: Any = JOBS[stage]
    if domain := names.pop("domain", ""):
        study = study.of_dataset(domain)
    return job.of(study, **names).model_dump_json()


def _from_here(folder: str) -> str:
    """A folder that the user named, relative to where the command was given.

    That is PWD: Snakemake's --directory changes the working folder only.
    """
    return os.path.normpath(Path(os.environ.get("PWD", ".")) / Path(folder).expanduser())


def _acquisition(study: Study, *, dataset: str, method: str, setting: str) -> AcquisitionJob | None:
    if not study.methods[method].reconstructs:
        return None
    study = study.of_dataset(dataset)
    protocol = _part(ReconstructionSettings, study.doses.level(setting))
    return AcquisitionJob(scanner=study.scanner, protocol=protocol)


def _part(kind: type[ReconstructionSettings], level: DoseSettings) -> Any:
    """What ``kind`` holds of a dose level."""
    return kind.model_validate(level.model_dump(include=set(kind.model_fields)))
