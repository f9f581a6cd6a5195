"""Model observers that look for known lesions in noise realisations."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from quietpet.config.section import Label, Positive, Section

Channels = Literal["laguerre_gauss", "difference_of_gaussians"]

LEAST_COUNT = 4
"""Realisations with, and as many without lesions: two halves of two images of each kind."""

_NAMES = {
    "laguerre_gauss": "Laguerre-Gauss",
    "difference_of_gaussians": "difference-of-Gaussians",
}


class ChannelSettings(Section):
    """Through which channels observers see a lesion: what ratings depend on."""

    channels: Channels = Field(
        "laguerre_gauss",
        description="rotationally symmetric channels through which the observers see a lesion",
    )
    count: int = Field(
        4,
        ge=1,
        le=12,
        description="of channels; each one more must be learned from the same few realisations",
    )
    width_mm: Positive = Field(
        10.0,
        description="a of the first channel, exp(-pi r^2 / a^2), whose FWHM is 0.94 a [mm]: about that "
        "of the lesions as reconstructed",
    )

    def describe(self) -> str:
        """The channels in words."""
        return f"{self.count} {_NAMES[self.channels]} channels of {self.width_mm:g} mm"


class ObserverSettings(ChannelSettings):
    """How lesions are looked for in the section `realisations`: the table `detection`."""

    compare_with: Label | None = Field(
        None,
        description="method whose areas the others' are compared with; none: the low-dose image itself, "
        "or in a study without it nothing is compared",
    )
