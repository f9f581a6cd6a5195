"""Settings of the Gaussian post-filter."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from quietpet.config.methods import MethodSettings, T1Use
from quietpet.config.section import Positive


class Settings(MethodSettings):
    """A Gaussian filter whose width is chosen on the validation slices: the classical baseline."""

    kind: Literal["gaussian"] = "gaussian"
    max_fwhm_mm: Positive = Field(
        20.0, le=100.0, description="upper end of the search for the width, FWHM [mm]"
    )

    @property
    def trained(self) -> bool:
        return False

    @property
    def t1_use(self) -> T1Use:
        return "none"

    def describe(self) -> str:
        return "Gaussian filter, width of least validation NMSE"
