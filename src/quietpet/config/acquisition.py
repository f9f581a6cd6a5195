"""What a scan records beside trues, and how its counts become activity."""

from __future__ import annotations

from pydantic import Field

from quietpet.config.section import Positive, Section


class CalibrationSettings(Section):
    """From an injection to activity and counts: gives images in kBq/ml."""

    grey_matter_suv: Positive = Field(
        description="standardised uptake value of grey matter (tissue of 1 g/ml); the other tissues "
        "follow from phantoms.activity"
    )
    weight_kg: Positive = Field(description="body weight of every subject [kg]")
    sensitivity_cps_per_kbq: Positive = Field(
        description="recorded trues per second and kBq of activity, for a source on the axis without "
        "attenuation, mean over the axial field of view [1/s/kBq]; NEMA sensitivity x 700 mm / axial "
        "field of view. Slices in the middle have more, by the acceptance of the scanner"
    )


class AcquisitionSettings(Section):
    """What else a scan records, and what its counts stand for.

    Fractions count recorded lines of response that see activity (NEMA NU 2 counts near the phantom).
    """

    scatter_fraction: float = Field(
        0.0, ge=0, lt=1, description="scattered / (trues + scattered) prompts, the same at every dose"
    )
    scatter_fwhm_mm: Positive = Field(
        150.0,
        description="scatter is the attenuated projection blurred along the bins by this FWHM [mm]",
    )
    randoms_fraction: float = Field(
        0.0,
        ge=0,
        lt=1,
        description="randoms / prompts at the standard dose and at doses given by counts; at others "
        "they follow the square of the activity",
    )
    randoms_window: int = Field(
        31,
        ge=1,
        description="the model's randoms are delayed coincidences averaged over this many views and "
        "bins, at most as many as there are; 1: as counted",
    )
    half_life_minutes: Positive = Field(
        109.77, description="of the radionuclide [min]; F-18 unless said otherwise"
    )
    calibration: CalibrationSettings | None = Field(
        None, description="none: counts are given, images are in units of phantoms.activity"
    )

    def describe(self) -> str:
        """The acquisition in the words of a methods section."""
        scatter = randoms = ""
        if self.scatter_fraction:
            scatter = f"scatter {100 * self.scatter_fraction:g} % of trues and scatter"
        if self.randoms_fraction:
            randoms = (
                f"randoms {100 * self.randoms_fraction:g} % of prompts at the standard dose, estimated "
                f"from delayed coincidences over {self.randoms_window} views and bins"
            )
        return f"{scatter or 'no scatter'}, {randoms or 'no randoms'}"
