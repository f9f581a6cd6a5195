"""What the sections of a study say of its data sets, trainings and regimes."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import Any, Self

from quietpet.acquisition.dose import grey_matter_kbq_per_ml
from quietpet.config.diffusion import DiffusionSettings
from quietpet.config.domains import PHANTOM, DomainSettings
from quietpet.config.invivo import InvivoSettings
from quietpet.config.networks import TrainingSettings
from quietpet.config.section import Section
from quietpet.config.standin import StandinSettings
from quietpet.config.study import StudySections
from quietpet.seeds import named_seed
from quietpet.study.data_sets import FIRST_REPLICATE, DataSet, Scanned, Scored, Simulated
from quietpet.study.trainings import Training, last_training, training_before
from quietpet.units import KBQ_PER_ML, RELATIVE_ACTIVITY

INTERNAL = "internal"
"""What a method learned on the data set that it restores, where that is not the study's own."""


class StudyContents(StudySections):
    """What the sections say of the study's data sets, trainings and regimes."""

    @property
    def subjects(self) -> tuple[str, ...]:
        """Subjects of all data sets, and those whose heads the stand-in scans."""
        views = (dataset.study for dataset in self.simulated.values())
        phantoms = [subject for view in views for subject in view.splits.subjects]
        return tuple(dict.fromkeys((*phantoms, *(self.standin.anatomies if self.standin else ()))))

    @property
    def in_vivo(self) -> InvivoSettings:
        """The section ``invivo``, for those who need one; ValueError without."""
        if self.invivo is None:
            raise ValueError("this study has no section invivo")
        return self.invivo

    @property
    def simulated_scans(self) -> StandinSettings:
        """The section ``standin``, for those who need one; ValueError without."""
        if self.standin is None:
            raise ValueError("this study has no section standin")
        return self.standin

    @property
    def compared(self) -> tuple[str, ...]:
        """Data sets whose regions are compared, the healthy first; none if nobody asked for it."""
        return self.cohorts.datasets if self.cohorts else ()

    @property
    def diffusion_methods(self) -> tuple[str, ...]:
        """Methods that sample."""
        return tuple(n for n, each in self.methods.items() if isinstance(each, DiffusionSettings))

    @property
    def data_sets(self) -> dict[str, DataSet]:
        """All data sets by name, the study's own phantoms first."""
        return {**self.simulated, **self.scanned}

    @property
    def scored(self) -> Iterator[Scored]:
        """Everything that is restored and scored, in the order of the configuration."""
        return itertools.chain.from_iterable(each.scored for each in self.data_sets.values())

    @property
    def scored_with_samples(self) -> list[Scored]:
        """Of :attr:`scored` what was sampled more than once, so that a spread is known."""
        return [run for run in self.scored if self.methods[run.method].samples > 1]

    @property
    def gallery(self) -> dict[tuple[str, str], list[Scored]]:
        """What each figure of images shows: the first training of each method, by data set and setting.

        Where networks learned in several ways, it is the last way that all of them have, in the order of
        the regimes; of a network that has it not, its own last.
        """
        named = self.report.gallery
        if named is None:
            named = (f"{self.tried_on.dataset}/{self.tried_on.setting}",)
        shown: dict[tuple[str, str], dict[str, dict[str, Scored]]] = {}
        for run in self.scored:
            if f"{run.dataset}/{run.setting}" in named and run.replicate == FIRST_REPLICATE:
                of_method = shown.setdefault((run.dataset, run.setting), {}).setdefault(run.method, {})
                of_method[run.regime] = run
        return {place: list(_alike(of_methods.values())) for place, of_methods in shown.items()}

    @property
    def in_robustness(self) -> Iterator[Scored]:
        """What the table `robustness` is about: first trainings, on the test slices that it names."""
        named = self.robustness.data if self.robustness else ()
        for run in self.scored:
            if f"{run.dataset}/{run.setting}" in named and run.replicate == FIRST_REPLICATE:
                yield run

    @property
    def restored_with_wrong_t1(self) -> list[Scored]:
        """Of :attr:`in_robustness` the methods that look at T1."""
        return [run for run in self.in_robustness if self.methods[run.method].t1_use != "none"]

    @property
    def low_dose_images(self) -> tuple[str, ...]:
        """Methods that are the low-dose image itself."""
        return tuple(name for name, method in self.methods.items() if method.kind == "lpet")

    @property
    def simulated(self) -> dict[str, Simulated]:
        """The data sets of phantoms, the study's own first."""
        own = Simulated(
            name=PHANTOM,
            study=self,
            domain="",
            methods=self.methods,
            replicates=self.replicates,
            regimes=None,
            compared=None,
            learned_alone=None,
        )
        domains = {
            name: Simulated(
                name=name,
                study=self._with_domain(name, domain),
                domain=name,
                methods=self.methods,
                replicates=domain.replicates or self.replicates,
                regimes=domain.regimes or self._regimes,
                compared=self.learning.compared if self.learning and not domain.regimes else None,
                learned_alone=INTERNAL,
            )
            for name, domain in self.domains.items()
        }
        return {PHANTOM: own, **domains}

    @property
    def scanned(self) -> dict[str, Scanned]:
        """The data sets of scans, which come without sinograms."""
        if self.invivo is None:
            return {}
        methods = {
            name: method
            for name, method in self.methods.items()
            if not method.reconstructs and name not in self.invivo.without
        }
        may_lack_t1 = {
            name for name, each in self.invivo.sources.items() if each.t1_presence == "if_there"
        }
        return {
            name: Scanned(
                name=name,
                cohort=cohort,
                invivo=self.invivo,
                methods={name: each for name, each in methods.items() if name not in cohort.without},
                may_lack_t1=cohort.source in may_lack_t1,
                replicates=self.invivo.replicates or self.replicates,
                regimes=self._regimes,
                compared=self.learning.compared if self.learning else None,
                learned_alone=INTERNAL,
            )
            for name, cohort in self.invivo.datasets.items()
        }

    @property
    def _regimes(self) -> tuple[str, ...] | None:
        return None if self.learning is None else tuple(self.learning.regimes)

    def _with_domain(self, name: str, domain: DomainSettings) -> Self:
        """The study as if ``domain`` were its only data set."""
        parts = ("slices", "splits", "acquisition", "doses")
        phantoms = ("activity", "t1", "lesions", "regions")
        return self.model_copy(
            update={
                **_given(domain, parts),
                "phantoms": self.phantoms.model_copy(update=_given(domain, phantoms)),
                "study_seed": named_seed(self.study_seed, "domain", name),
                "domains": {},
                "invivo": None,
                "learning": None,
                "cohorts": None,
            }
        )

    def training_of(self, training: Training, method: str) -> TrainingSettings:
        """Optimisation of one training of a network.

        Where the method has its published optimiser, a stage changes its learning rate as it does the
        common one: by the same factor.
        """
        settings, chosen = self.training, self.methods[method]
        if self.learning is not None and training.stages:
            settings = self.learning.stages[training.stages[-1]].training(settings)
        if own := chosen.own_training:
            change = settings.learning_rate / self.training.learning_rate
            settings = own.applied_to(settings, rate_factor=change)
        if chosen.cost_of:
            as_long = self.training_cost(chosen.cost_of) / self.training_cost(method)
            settings = settings.lasting(max(1, round(settings.iterations * as_long)))
        return settings

    def training_cost(self, method: str) -> float:
        """Core seconds of 1000 iterations of the training of ``method``; KeyError if none are given."""
        return self.training_costs[self.trained_as(method)]

    def trained_as(self, method: str) -> str:
        """The method with whose weights ``method`` restores: itself, or the one of the same training.

        That is the one whose variant without T1 it is, where both are one network and its T1 matters
        after training alone. So their rows differ in the T1 alone, not in a seed as well.
        """
        other = self.methods[method].pet_only_of
        if other in self.methods and self._trained_by(other) == self._trained_by(method):
            return other
        return method

    def _trained_by(self, method: str) -> dict[str, Any]:
        """All that decides the weights of a method."""
        settings = self.methods[method].for_training()
        return settings.model_dump(exclude={"pet_only_of"})  # which names a row of a table

    def chooses_rate(self, method: str) -> bool:
        """Whether trials choose the learning rate of ``method``."""
        tried = self.training.learning_rate_trials is not None
        return tried and self.methods[method].trained and self.methods[method].own_training is None

    @property
    def tried_on(self) -> Training:
        """What all trials of learning rates learn from: the study's own phantoms at one dose."""
        levels = self.doses.low
        published = (name for name, level in levels.items() if level.published)
        return Training(dataset=PHANTOM, setting=next(published, next(iter(levels))))

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
        """The first data set and setting with the same training and validation slices."""
        wanted = self.data_sets[dataset].learned_from(setting)
        return next(
            (each.name, other)
            for each in self.data_sets.values()
            for other in each.settings
            if each.learned_from(other) == wanted
        )

    def iterations_of(self, *, dataset: str, setting: str, method: str, regime: str) -> tuple[int, ...]:
        """Iterations of the trainings that a network went through, the first stage first."""
        training: Training | None = self.weights_for(dataset=dataset, setting=setting, regime=regime)
        found = []
        while training:
            found.append(self.training_of(training, method).iterations)
            training = self.training_before(training)
        return tuple(reversed(found))

    def describe(self) -> str:
        """What is simulated, in words: one line for the acquisition, the images and each dose."""
        lines = [f"Acquisition: {self.acquisition.describe()}.", f"Images: {self._units()}."]
        for dataset in self.simulated.values():
            lines += [f"Dose {name}: {level}." for name, level in dataset.doses.items()]
            if regions := dataset.study.phantoms.regions:
                lines.append(f"Subjects of {dataset.name}: {regions.describe()}.")
        lines += [self.invivo.describe()] if self.invivo else []
        lines += [f"Compared: {self.cohorts.describe()}."] if self.cohorts else []
        lines += [f"Measured again: {self.realisations.describe()}."] if self.realisations else []
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


def _alike(of_methods: Iterable[dict[str, Scored]]) -> Iterator[Scored]:
    """One restoration of each method, by regime: of the last regime that all that have any share."""
    found = list(of_methods)
    learned = [regimes for regimes in found if "" not in regimes]
    shared = [name for name in (learned[0] if learned else ()) if all(name in each for each in learned)]
    for regimes in found:
        yield regimes[shared[-1]] if shared and shared[-1] in regimes else [*regimes.values()][-1]
