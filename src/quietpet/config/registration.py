"""Registration of PET to T1."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from quietpet.config.section import Positive, Section

RegistrationChoice = Literal["auto", "spm12", "embedded"]


class RegistrationSettings(Section):
    """How PET is registered to T1, and when a result is not believed."""

    engine: RegistrationChoice = Field(
        "auto", description="auto: SPM12 where a working one is found, else the embedded engine"
    )
    spm_minutes: Positive = Field(30.0, description="SPM12 is stopped after this time per scan [min]")
    most_rotation_deg: float = Field(
        45.0, gt=0, le=180, description="a scan that is turned by more is refused [degrees]"
    )
    most_offset_mm: Positive = Field(
        50.0,
        description="so is one whose head centres end further apart, wherever the headers put them [mm]",
    )
    least_field_of_view: float = Field(
        0.7, ge=0, le=1, description="and one with less than this part of the head of T1 in PET"
    )
