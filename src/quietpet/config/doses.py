"""The dose levels: how much of each is measured, and how it is reconstructed."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import Field, field_validator, model_validator

from quietpet.config.section import Label, NonNegative, Positive, Section


class ReconstructionSettings(Section):
    """How the sinograms of one dose level become images."""

    psf_fwhm_mm: NonNegative = Field(
        description="image-space resolution of data and model, FWHM [mm]; thinned data keep that of the "
        "standard dose, and this is the model's alone"
    )
    iterations: int = Field(ge=1, description="OSEM iterations (passes over all views)")
    subsets: int = Field(
        ge=1,
        description="OSEM subsets, at most one per view; need not divide the number of views; 1: MLEM",
    )
    post_fwhm_mm: NonNegative = Field(
        0.0, description="Gaussian filter of the reconstructed images, FWHM [mm]; 0: none"
    )


class ScanSettings(Section):
    """An injection and a scan."""

    injected_mbq: Positive = Field(description="activity at the time of injection [MBq]")
    uptake_minutes: NonNegative = Field(description="from the injection to the start of the scan [min]")
    minutes: Positive = Field(description="length of the scan [min]")


class DoseSettings(ReconstructionSettings):
    """One dose level, given by its counts or by its injection and scan time, and its reconstruction."""

    counts: tuple[Positive, Positive] | None = Field(
        None,
        description="expected prompts, those lost in the gaps between blocks included (the FB-SEM "
        "convention): one number, or the range [low, high] of a uniform draw",
    )
    counts_per: Literal["volume", "slice"] = Field(
        "volume", description="volume: per whole axial field of view, shared equally by its slices"
    )
    scan: ScanSettings | None = Field(
        None, description="in place of counts; needs acquisition.calibration"
    )

    @field_validator(
        "counts", mode="before", json_schema_input_type=Positive | tuple[Positive, Positive] | None
    )
    @classmethod
    def _range(cls, counts: object) -> object:
        single = isinstance(counts, int | float) and not isinstance(counts, bool)
        return (counts, counts) if single else counts

    @field_validator("counts")
    @classmethod
    def _ordered(cls, counts: tuple[float, float] | None) -> tuple[float, float] | None:
        if counts is not None and counts[0] > counts[1]:
            raise ValueError(f"a range of counts is [low, high], got {list(counts)}")
        return counts

    @model_validator(mode="after")
    def _given_in_one_way(self) -> Self:
        ways = self._ways()
        if sum(way is not None for way in ways.values()) != 1:
            raise ValueError(f"a dose is given by exactly one of {', '.join(ways)}")
        if self.counts is None and self.counts_per != "volume":
            raise ValueError(f"counts_per: {self.counts_per} says what counts mean, but there are none")
        return self

    def _ways(self) -> dict[str, object]:
        return {"counts": self.counts, "scan": self.scan}

    def describe(self) -> str:
        """The level in the words of a methods section."""
        algorithm = "MLEM" if self.subsets == 1 else "OSEM"
        subsets = f" of {self.subsets} subsets" if self.subsets > 1 else ""
        post_filter = f", {self.post_fwhm_mm:g} mm Gaussian post-filter" if self.post_fwhm_mm else ""
        return (
            f"{self._amount()}, {self.psf_fwhm_mm:g} mm point spread, {algorithm} "
            f"with {self.iterations} iterations{subsets}{post_filter}"
        )

    @property
    def count_range(self) -> tuple[float, float]:
        """``counts``; ValueError where the dose is given in another way."""
        if self.counts is None:
            raise ValueError("this dose is not given by counts")
        return self.counts

    def _amount(self) -> str:
        if self.scan is not None:
            return (
                f"{self.scan.injected_mbq:g} MBq injected, scanned for {self.scan.minutes:g} min from "
                f"{self.scan.uptake_minutes:g} min after injection"
            )
        low, high = self.count_range
        counts = f"{low:g}" if low == high else f"{low:g} to {high:g}"
        return f"{counts} counts per {self.counts_per}"


class ThinningSettings(Section):
    """Which events of the standard dose a thinned level keeps."""

    fraction: float = Field(gt=0, lt=1, description="of the standard dose's scan time or activity")
    fraction_of: Literal["time", "activity"] = Field(
        "time",
        description="time: all prompts with the fraction; activity: randoms with its square",
    )
    realisation: int = Field(
        0,
        ge=0,
        description="levels of one realisation are nested: a lower one's events are among a higher "
        "one's; another number keeps other events",
    )

    def describe(self) -> str:
        """The thinning in the words of a methods section."""
        randoms = self.fraction if self.fraction_of == "time" else self.fraction**2
        return (
            f"{self.fraction:g} of the standard dose's {self.fraction_of}, by thinning its prompts: "
            f"{self.fraction:g} of trues and scatter, {randoms:g} of randoms (realisation "
            f"{self.realisation})"
        )


class LowDoseSettings(DoseSettings):
    """A low-dose level; every one of them gives a data set, networks and table rows."""

    thinned: ThinningSettings | None = Field(
        None,
        description="in place of counts: keep a part of the standard dose's events (binomial thinning) "
        "instead of an independent scan",
    )
    published: bool = Field(
        False, description="this is the level of the published Tables 1 and 5: print their values beside"
    )

    def _ways(self) -> dict[str, object]:
        return {**super()._ways(), "thinned": self.thinned}

    def _amount(self) -> str:
        if self.thinned is None:
            return super()._amount()
        return self.thinned.describe()


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
