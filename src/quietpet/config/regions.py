"""Brain regions of a data set: how their uptake varies between people, and what a disease takes."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, field_validator

from quietpet.config.section import Section

Fraction = Annotated[float, Field(ge=0, le=1)]
Reduction = Annotated[float, Field(ge=0, lt=1)]


class RegionalReductions(Section):
    """Part of the grey-matter uptake of FDG that each region loses at severity 1.

    The pattern is that of Alzheimer's disease: most in the posterior cingulate and precuneus (Minoshima
    et al., Ann Neurol 42:85 (1997)), less in parietal and lateral temporal cortex (Langbaum et al.,
    NeuroImage 45:1107 (2009), 74 patients of ADNI) and in the hippocampal complex (Nestor et al., Ann
    Neurol 54:343 (2003), mild disease), nothing in sensorimotor cortex. Frontal cortex, which Langbaum
    lists too, is left out. In the middle of severities from 0.5 to 1 the first loses 22.5 %, about as
    measured in very early disease (21 to 22 %, Minoshima); the others are set below it, without a
    measured number of their own.
    """

    posterior_cingulate_precuneus: Reduction = Field(0.30, description="around the midline")
    inferior_parietal: Reduction = Field(0.25, description="angular gyrus, both sides")
    lateral_temporal: Reduction = Field(0.20, description="middle and inferior gyrus, both sides")
    medial_temporal: Reduction = Field(
        0.20, description="hippocampus and parahippocampal gyrus, both sides"
    )
    sensorimotor: Reduction = Field(
        0.0, description="around the central sulcus, both sides: spared, the region to compare with"
    )


REGION_NAMES = tuple(RegionalReductions.model_fields)
"""All regions, in the order of their numbers, which begin at 1."""


class DiseaseSettings(Section):
    """A disease that lowers the uptake of some regions, in each subject by its own severity."""

    reductions: RegionalReductions = Field(
        RegionalReductions(), description="of regions that are not given: those of the pattern below"
    )
    severity: tuple[Fraction, Fraction] = Field(
        (0.5, 1.0),
        description="multiplies the reductions: one number, or the range [low, high] of a uniform draw "
        "per subject",
    )

    @field_validator(
        "severity", mode="before", json_schema_input_type=Fraction | tuple[Fraction, Fraction]
    )
    @classmethod
    def _range(cls, severity: object) -> object:
        single = isinstance(severity, int | float) and not isinstance(severity, bool)
        return (severity, severity) if single else severity

    @field_validator("severity")
    @classmethod
    def _ordered(cls, severity: tuple[float, float]) -> tuple[float, float]:
        if severity[0] > severity[1]:
            raise ValueError(f"a range of severities is [low, high], got {list(severity)}")
        return severity


class RegionSettings(Section):
    """Regions that are numbered in the data set, and how their uptake differs between subjects."""

    variation: float = Field(
        0.08,
        ge=0,
        le=0.2,
        description="standard deviation / mean of a region's uptake between healthy people, relative to "
        "the rest of the brain; 0: all alike. Regions vary independently, the reference of the cohorts, "
        "too, so that a ratio to sensorimotor cortex varies by sqrt(2) of it, about 11 % with 0.08. "
        "About 9 % in the regions of ADNI that Landau et al., Neurobiol Aging 32:1207 (2011) choose",
    )
    disease: DiseaseSettings | None = Field(None, description="none: healthy people")

    def describe(self) -> str:
        """The regions in the words of a methods section."""
        varied = f"uptake of {len(REGION_NAMES)} regions varies by {self.variation:.2g} between subjects"
        if self.disease is None:
            return f"healthy: {varied}"
        low, high = self.disease.severity
        lost = ", ".join(
            f"{name.replace('_', ' ')} {reduction:.2g}"
            for name, reduction in self.disease.reductions
            if reduction
        )
        severity = f"{low:g}" if low == high else f"{low:g} to {high:g}"
        return f"{varied}, and loses severity ({severity}) times {lost or 'nothing'}"
