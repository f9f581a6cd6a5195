"""The section ``invivo`` of a configuration: scans, the windows taken of them, who is in which cohort.

Kept free of slow imports, as ``config/`` is: Snakemake reads it at every start.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from quietpet.config.datasets import SPLITS, SplitSettings
from quietpet.config.scan_sources import SourceSettings
from quietpet.config.section import SETTING, Label, NonNegative, Positive, Section
from quietpet.units import SECONDS_PER_MINUTE

STANDARD = "standard"
Administration = Literal["bolus", "infusion", "bolus_infusion"]
WindowName = Annotated[str, Field(pattern=f"^{SETTING}$")]
"""Of a window or a setting."""


class WindowSettings(Section):
    """A part of a scan, which becomes one image."""

    minutes: Positive | None = Field(None, description="length [min], rounded to whole frames")
    frames: int | None = Field(None, ge=1, description="in place of minutes: this many frames")
    start_minutes: NonNegative = Field(
        30.0,
        description="after the injection, or infusion, began [min], which is InjectionStart of the "
        "side-car; the first frame is the first to start then or later",
    )

    @model_validator(mode="after")
    def _one_length(self) -> Self:
        if (self.minutes is None) == (self.frames is None):
            raise ValueError("a window is given by exactly one of minutes, frames")
        return self

    @property
    def start_s(self) -> float:
        return self.start_minutes * SECONDS_PER_MINUTE

    @property
    def seconds(self) -> float | None:
        return None if self.minutes is None else self.minutes * SECONDS_PER_MINUTE

    def describe(self) -> str:
        """The window in the words of a methods section."""
        length = f"{self.minutes:g} min" if self.minutes else f"{self.frames} frame(s)"
        return f"{length} from {self.start_minutes:g} min on"


class ScanRequirement(Section):
    """What a scan must be to test a setting."""

    header_dose_mbq: tuple[NonNegative, Positive] | None = Field(
        None,
        description="range [low, high] in which the injected activity in the scanner's header of every "
        "test participant must lie [MBq]",
    )
    administration: Administration | None = Field(
        None, description="how every test participant must have got the tracer"
    )

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.header_dose_mbq and self.header_dose_mbq[0] > self.header_dose_mbq[1]:
            raise ValueError(f"a range of doses is [low, high], got {list(self.header_dose_mbq)}")
        return self


class CohortSetting(ScanRequirement):
    """One setting of a data set: which low dose, of whom.

    Doses are those of the scanner's header, which is right where side-cars were exchanged.
    """

    window: WindowName | None = Field(None, description="of windows.low: the low dose")
    dose: WindowName | None = Field(
        None, description="in place of window, with a source of kind pairs: the low dose in its table"
    )
    splits: SplitSettings | None = Field(None, description="in place of the data set's")
    regimes: tuple[Label, ...] | None = Field(None, description="in place of the data set's")

    @model_validator(mode="after")
    def _one_low_dose(self) -> Self:
        if (self.window is None) == (self.dose is None):
            raise ValueError("a setting has exactly one of window, dose")
        if self.dose == STANDARD:
            raise ValueError(f"dose {STANDARD!r} is what low doses are restored to; name a low one")
        return self

    @property
    def low(self) -> str:
        """Name of its low dose: of a window of the scan, or of an image of its own."""
        return self.window or self.dose or ""

    @property
    def requirement(self) -> ScanRequirement | None:
        """What its test participants must be; None: anybody."""
        if self.header_dose_mbq is None and self.administration is None:
            return None
        return ScanRequirement(header_dose_mbq=self.header_dose_mbq, administration=self.administration)


class CohortSettings(Section):
    """One in-vivo data set: a source, who trains and who tests, and its settings."""

    source: Label
    splits: SplitSettings | None = Field(None, description="participants, without 'sub-'")
    settings: dict[WindowName, CohortSetting] = Field(min_length=1)
    regimes: tuple[Label, ...] | None = Field(
        None, description="of learning.regimes, those under which networks restore it; none: all"
    )
    without: tuple[Label, ...] = Field(
        (), description="methods that are not applied to it, beside those of invivo.without"
    )

    @model_validator(mode="after")
    def _split(self) -> Self:
        for name, setting in self.settings.items():
            if setting.splits is None and self.splits is None:
                raise ValueError(f"settings.{name} has no splits, and neither has the data set")
        return self

    def splits_of(self, setting: str) -> SplitSettings:
        splits = self.settings[setting].splits or self.splits
        if splits is None:
            raise ValueError(f"{setting} has no splits")
        return splits

    def regimes_of(self, setting: str) -> tuple[str, ...] | None:
        """Regimes under which networks restore a setting; None: all there are."""
        own = self.settings[setting].regimes
        return self.regimes if own is None else own

    @property
    def participants(self) -> tuple[str, ...]:
        """Everybody in any split of any setting."""
        everybody = (who for name in self.settings for who in self.splits_of(name).subjects)
        return tuple(dict.fromkeys(everybody))


class SlicePlaneSettings(Section):
    """Which slices of the T1 grid enter the data sets, and how they are augmented.

    T1 is brought to RAS order: the third axis runs from the feet to the head, so slices are transaxial
    up to the tilt of the head. Indices are on a grid of ``axis_slices`` slices of ``slice_mm``; other
    grids are cut at the same millimetres from the middle of the axis. A scan without T1 is cut on the
    grid of its PET, by the same rule, and its head is that of the long PET image.
    """

    indices: tuple[Annotated[int, Field(ge=0)], ...] = Field(
        tuple(range(130, 150, 2)), min_length=1, description="slices along the third axis, from 0"
    )
    axis_slices: int = Field(256, ge=1, description="slices of the grid that indices count on")
    slice_mm: Positive = Field(1.0, description="distance of its slices [mm]")
    pixel_mm: Positive | None = Field(
        None,
        description="side of a packed pixel [mm]; none: that of T1. Networks that also learn from "
        "phantoms see one scale if it is that of the phantoms",
    )
    rotations: int = Field(5, ge=1, description="in-plane rotations per slice; the first is 0")
    max_angle_deg: float = Field(15.0, ge=0, le=180, description="rotations are uniform in +-this [deg]")

    @model_validator(mode="after")
    def _on_the_grid(self) -> Self:
        if len(set(self.indices)) != len(self.indices):
            raise ValueError(f"slice indices must differ from each other, got {self.indices}")
        if max(self.indices) >= self.axis_slices:
            raise ValueError(
                f"indices reach {max(self.indices)}, but the grid has {self.axis_slices} slices, from 0"
            )
        return self

    @property
    def offsets_mm(self) -> tuple[float, ...]:
        """Distance of every slice from the middle of the third axis, positive towards the head [mm]."""
        return tuple((index - (self.axis_slices - 1) / 2) * self.slice_mm for index in self.indices)


class Windows(Section):
    """The long window, and the short ones that stand for low doses."""

    standard: WindowSettings = WindowSettings(minutes=30)
    low: dict[WindowName, WindowSettings] = Field(min_length=1)

    @model_validator(mode="after")
    def _names(self) -> Self:
        if STANDARD in self.low:
            raise ValueError(f"a short window cannot be called {STANDARD!r}")
        return self

    @property
    def all(self) -> dict[str, WindowSettings]:
        """Every window by its name, the standard one first."""
        return {STANDARD: self.standard, **self.low}


class InvivoSettings(Section):
    """In-vivo data sets: standard- and low-dose images from windows of real, or stand-in, scans."""

    sources: dict[Label, SourceSettings] = Field(min_length=1)
    windows: Windows | None = Field(
        None, description="parts of scans that become images; needed but by sources of kind pairs"
    )
    rounding: Literal["nearest", "down", "up"] = Field(
        "nearest",
        description="of windows to whole frames, as 30 min are 112.5 frames of 16 s: nearest takes 113",
    )
    datasets: dict[Label, CohortSettings] = Field(min_length=1)
    slices: SlicePlaneSettings = SlicePlaneSettings()
    without: tuple[Label, ...] = Field((), description="methods that are not applied to scans")
    replicates: int | None = Field(
        None, ge=1, description="trainings of each network for these data sets; none: as for the others"
    )

    @model_validator(mode="after")
    def _names_exist(self) -> Self:
        for name, dataset in self.datasets.items():
            _require_known(dataset.source, self.sources, f"datasets.{name}.source")
            for setting, cohort in dataset.settings.items():
                self._require_low(cohort, dataset.source, f"datasets.{name}.settings.{setting}")
        return self

    def _require_low(self, cohort: CohortSetting, source: str, place: str) -> None:
        has_pairs = self.sources[source].has_pairs
        if has_pairs != (cohort.dose is not None):
            right, wrong = ("dose", "window") if has_pairs else ("window", "dose")
            raise ValueError(
                f"{place}: {source} is of kind {self.sources[source].kind!r}, so write {right} in place "
                f"of {wrong}"
            )
        if cohort.window is None:
            return
        if self.windows is None:
            raise ValueError(f"{place}.window: there are no windows; write invivo.windows")
        _require_known(cohort.window, self.windows.low, f"{place}.window")

    @model_validator(mode="after")
    def _one_role_each(self) -> Self:
        roles: dict[tuple[str, str], tuple[str, str]] = {}
        for place, source, splits in self._all_splits():
            for split, participant in _roles(splits):
                for data in self.sources[source].data:
                    before, where = roles.setdefault((data, participant), (split, place))
                    if before != split:
                        raise ValueError(
                            f"{place}: participant {participant!r} of {source} is in {split!r}, but in "
                            f"{before!r} of {where}; its anatomy would leak between the two: remove it "
                            "from one"
                        )
        return self

    @model_validator(mode="after")
    def _one_set_of_doses(self) -> Self:
        """Every participant of pairs is imported with all doses that are used of its source."""
        used: dict[str, dict[str, dict[str, None]]] = {}
        for dataset in self.datasets.values():
            for setting, cohort in dataset.settings.items():
                for participant in dataset.splits_of(setting).subjects:
                    of_each = used.setdefault(dataset.source, {})
                    of_each.setdefault(participant, {})[cohort.low] = None
        for source, doses in used.items():
            every = {dose for of_one in doses.values() for dose in of_one}
            lacking = [who for who, of_one in doses.items() if set(of_one) != every]
            if self.sources[source].has_pairs and lacking:
                raise ValueError(
                    f"sources.{source}: of its doses {', '.join(sorted(every))}, {lacking[0]!r} is used "
                    f"with {', '.join(doses[lacking[0]])} alone, but all are imported of each "
                    "participant: write another source of the same root for data sets, or settings, of "
                    "other doses and participants"
                )
        return self

    def _all_splits(self) -> Iterator[tuple[str, str, SplitSettings]]:
        for name, dataset in self.datasets.items():
            for setting in dataset.settings:
                yield f"datasets.{name}.settings.{setting}", dataset.source, dataset.splits_of(setting)

    @property
    def scans(self) -> tuple[tuple[str, str], ...]:
        """Source and participant of every scan that a data set needs, each once."""
        needed = (
            (dataset.source, participant)
            for dataset in self.datasets.values()
            for participant in dataset.participants
        )
        return tuple(dict.fromkeys(needed))

    def windows_of(self, source: str) -> dict[str, WindowSettings]:
        """The windows that data sets of ``source`` use, by name, the standard one first."""
        used = self.low_of(source)
        every = self.windows.all if self.windows else {}
        return {name: window for name, window in every.items() if name in {STANDARD, *used}}

    def low_of(self, source: str) -> tuple[str, ...]:
        """The low doses that data sets of ``source`` use, by name."""
        settings = (each for dataset in self._of(source) for each in dataset.settings.values())
        used = dict.fromkeys(setting.low for setting in settings)
        order = list(self.windows.low) if self.windows else []
        return tuple(sorted(used, key=lambda name: order.index(name) if name in order else len(order)))

    def in_words(self, setting: CohortSetting) -> str:
        """The low dose of a setting in the words of a methods section."""
        if setting.window is None or self.windows is None:
            return f"dose {setting.low} of the pairs"
        return self.windows.low[setting.window].describe()

    def requirements(self, source: str, participant: str) -> dict[str, ScanRequirement]:
        """What the settings that test on a participant require, by ``dataset/setting``."""
        return {
            f"{name}/{setting}": requirement
            for name, dataset in self.datasets.items()
            if dataset.source == source
            for setting, cohort in dataset.settings.items()
            if participant in dataset.splits_of(setting).test and (requirement := cohort.requirement)
        }

    def _of(self, source: str) -> list[CohortSettings]:
        return [dataset for dataset in self.datasets.values() if dataset.source == source]

    def describe(self) -> str:
        """One line per data set, for ``quietpet validate``."""
        lines = []
        for name, dataset in self.datasets.items():
            settings = ", ".join(
                f"{setting} ({self.in_words(cohort)})" for setting, cohort in dataset.settings.items()
            )
            windows = None if self.sources[dataset.source].has_pairs else self.windows
            standard = windows.standard.describe() if windows else "the standard dose"
            lines.append(
                f"In vivo {name}: {settings} against {standard}, "
                f"{len(dataset.participants)} participants of {dataset.source}."
            )
        return "\n".join(lines)


def scan_name(source: str, participant: str) -> str:
    """Name of a scan in ``results/invivo/``: two data sets that use it share it."""
    return f"{source}_sub-{participant}"


def _roles(splits: SplitSettings) -> Iterator[tuple[str, str]]:
    """Split and participant."""
    for split in SPLITS:
        for participant in getattr(splits, split):
            yield split, participant


def _require_known(name: str, known: Iterable[str], key: str) -> None:
    if name not in known:
        raise ValueError(f"{key}: no {name!r}; there are {', '.join(known)}")
