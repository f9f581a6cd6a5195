"""Simulated data sets beside the study's first."""

from __future__ import annotations

from pydantic import Field

from quietpet.config.acquisition import AcquisitionSettings
from quietpet.config.datasets import SliceSettings, SplitSettings
from quietpet.config.doses import DoseLevels
from quietpet.config.phantoms import LesionSettings, TissueValues
from quietpet.config.regions import RegionSettings
from quietpet.config.section import Label, Section

PHANTOM = "phantom"
"""Name of the data set that a study always simulates."""


class DomainSettings(Section):
    """A further simulated data set; sections that are not given are those of the study.

    Its draws are independent of those of the other data sets.
    """

    activity: TissueValues | None = Field(None, description="in place of phantoms.activity")
    t1: TissueValues | None = Field(None, description="in place of phantoms.t1")
    lesions: LesionSettings | None = Field(None, description="in place of phantoms.lesions")
    regions: RegionSettings | None = Field(None, description="in place of phantoms.regions")
    slices: SliceSettings | None = None
    splits: SplitSettings | None = None
    acquisition: AcquisitionSettings | None = None
    doses: DoseLevels
    regimes: tuple[Label, ...] | None = Field(
        None,
        min_length=1,
        description="of learning.regimes, those under which every network restores it, whatever "
        "learning.compared says; none: all, as it says",
    )
    replicates: int | None = Field(
        None, ge=1, description="trainings of each network that restore it; none: all replicates"
    )
