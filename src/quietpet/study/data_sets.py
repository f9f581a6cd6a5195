"""The data sets of a study: values of two kinds with one interface, so that nobody asks for a name."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Hashable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, NamedTuple

from quietpet.config.datasets import DatasetKind, SplitSettings
from quietpet.config.invivo import CohortSettings, InvivoSettings
from quietpet.config.learning import ComparedMethods
from quietpet.config.methods import MethodSettings

if TYPE_CHECKING:
    from quietpet.study.contents import StudyContents


FIRST_REPLICATE = "r0"
"""Name of the first training of a method."""


class Scored(NamedTuple):
    """One restoration of a test set, by one training of a method under a regime ("": none)."""

    dataset: str
    setting: str
    method: str
    regime: str
    replicate: str


class RestoredTogether(NamedTuple):
    """Settings of a data set that the same methods restore under the same regimes."""

    settings: tuple[str, ...]
    methods: tuple[str, ...]
    regimes: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class DataSet(ABC):
    """What a study does with one data set.

    ``methods`` are those that restore it, ``replicates`` the trainings of each network. ``regimes`` are
    those under which networks learn to restore it, each as ``compared`` says; None: on this data set
    alone. What a method learned without a regime is called ``learned_alone``; None: as the method
    calls it.
    """

    kind: ClassVar[DatasetKind]

    name: str
    methods: Mapping[str, MethodSettings]
    replicates: int
    regimes: tuple[str, ...] | None
    compared: ComparedMethods | None
    learned_alone: str | None

    @property
    @abstractmethod
    def settings(self) -> tuple[str, ...]:
        """Names of its low doses; each gives packed slices, trainings and table rows."""

    @property
    @abstractmethod
    def doses(self) -> dict[str, str]:
        """Every dose in the words of a methods section, by the name that readers know it by."""

    @abstractmethod
    def splits_of(self, setting: str) -> SplitSettings:
        """Who trains, validates and tests."""

    @abstractmethod
    def learned_from(self, setting: str) -> Hashable:
        """Equal for settings whose training and validation slices are the same."""

    @abstractmethod
    def _regimes_of(self, setting: str) -> tuple[str, ...] | None:
        """Those of ``regimes`` that a setting has."""

    def regimes_of(self, setting: str, method: str) -> tuple[str, ...]:
        """Regimes under which ``method`` is scored on a setting; "" is no regime."""
        regimes = self._regimes_of(setting)
        if regimes is None or not self.methods[method].trained:
            return ("",)
        return self.compared.of(method, regimes) if self.compared else regimes

    def replicates_of(self, method: str) -> tuple[str, ...]:
        """Names of the trainings of ``method``; one where the seed changes nothing."""
        count = self.replicates if self.methods[method].trained else 1
        return tuple(f"r{number}" for number in range(count))

    def learning_word(self, method: str, regime: str) -> str:
        """Value of the table column 'learning'."""
        word = self.methods[method].learning
        if regime or word == "-":
            return regime or word
        return self.learned_alone or word

    @property
    def scored(self) -> Iterator[Scored]:
        """Everything that is restored and scored, in the order of the configuration."""
        for setting in self.settings:
            for method in self.methods:
                for regime in self.regimes_of(setting, method):
                    for replicate in self.replicates_of(method):
                        yield Scored(self.name, setting, method, regime, replicate)


@dataclass(frozen=True, kw_only=True)
class Simulated(DataSet):
    """Phantoms that the study measures at every dose.

    ``study`` is the study as if this were its only data set; ``domain`` is the key in ``domains``, empty
    for the study's own.
    """

    kind: ClassVar[DatasetKind] = "simulated"

    study: StudyContents
    domain: str

    @property
    def settings(self) -> tuple[str, ...]:
        return tuple(self.study.doses.low)

    @property
    def doses(self) -> dict[str, str]:
        levels = self.study.doses.levels
        return {self.called(dose): level.describe() for dose, level in levels.items()}

    def splits_of(self, setting: str) -> SplitSettings:
        return self.study.splits

    def learned_from(self, setting: str) -> Hashable:
        return self.name, setting  # each has draws of its own

    def _regimes_of(self, setting: str) -> tuple[str, ...] | None:
        return self.regimes

    def called(self, dose: str) -> str:
        """The name by which readers know a dose."""
        return f"{self.domain}/{dose}" if self.domain else dose

    def key(self, section: str) -> str:
        """Key of one of its sections in the configuration."""
        return f"domains.{self.domain}.{section}" if self.domain else section


@dataclass(frozen=True, kw_only=True)
class Scanned(DataSet):
    """Standard and low dose of scans: windows of them, or images of their own.

    Where it ``may_lack_t1``, scans without T1 are taken too.
    """

    kind: ClassVar[DatasetKind] = "scanned"

    cohort: CohortSettings
    may_lack_t1: bool
    invivo: InvivoSettings

    @property
    def settings(self) -> tuple[str, ...]:
        return tuple(self.cohort.settings)

    @property
    def doses(self) -> dict[str, str]:
        return {
            f"{self.name}/{setting}": self.invivo.in_words(chosen)
            for setting, chosen in self.cohort.settings.items()
        }

    def splits_of(self, setting: str) -> SplitSettings:
        return self.cohort.splits_of(setting)

    def learned_from(self, setting: str) -> Hashable:
        # How slices are cut is common to all; dose and administration choose who tests.
        splits, low = self.splits_of(setting), self.cohort.settings[setting].low
        return self.cohort.source, low, splits.train, splits.validation

    def _regimes_of(self, setting: str) -> tuple[str, ...] | None:
        chosen = self.cohort.regimes_of(setting)
        return self.regimes if chosen is None else chosen

    @property
    def restored_together(self) -> Iterator[RestoredTogether]:
        """Everything that is scored, in parts: of each regime, all settings that have it.

        A method of a part may lack one of its regimes, and then has it in no other part either.
        """
        settings: dict[tuple[str, str], dict[str, None]] = {}
        for run in self.scored:
            settings.setdefault((run.method, run.regime), {})[run.setting] = None
        parts: dict[tuple[str, ...], list[tuple[str, str]]] = {}
        for learned, found in settings.items():
            parts.setdefault(tuple(found), []).append(learned)
        for together, learned_by in parts.items():
            methods, regimes = zip(*learned_by, strict=True)
            yield RestoredTogether(
                together, tuple(dict.fromkeys(methods)), tuple(dict.fromkeys(regimes))
            )
