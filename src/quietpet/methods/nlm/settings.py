"""Settings of non-local means."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import Field, field_validator

from quietpet.config.methods import MethodSettings, T1Use
from quietpet.config.section import Positive

_GUIDES = {"low": "the low-dose image", "t1": "T1", "both": "the low-dose image and T1"}


class Settings(MethodSettings):
    """Non-local means of the low-dose image: pixels averaged whose surroundings are alike.

    Alike in the low-dose image (Buades et al. 2005), in T1, or in both; how alike they must be is chosen
    on the validation slices.
    """

    kind: Literal["nlm"] = "nlm"
    guide: Literal["low", "t1", "both"] = Field(
        "low", description="images in which surroundings are compared; the average is of the low dose"
    )
    stabilised: bool = Field(
        True,
        description="the low-dose image is compared by its square root, of which counts have the same "
        "noise everywhere (Anscombe 1948); averaged as it is",
    )
    patch_pixels: int = Field(5, ge=3, le=31, description="side of the surroundings compared; odd")
    search_pixels: int = Field(
        7, ge=1, le=31, description="pixels are averaged within the square of 2 search_pixels + 1"
    )
    strength: tuple[Positive, Positive] = Field(
        (0.02, 2.0),
        description="range in which the filter strength h of each guide is sought; surroundings that "
        "differ by h (root mean square) weigh 1/e; guides are relative to the typical uptake and T1 "
        "signal of the slice, so that one h suits all slices",
    )

    @field_validator("patch_pixels")
    @classmethod
    def _odd(cls, patch_pixels: int) -> int:
        if patch_pixels % 2 == 0:
            raise ValueError(f"patch_pixels = {patch_pixels} must be odd, with one pixel in the middle")
        return patch_pixels

    @field_validator("strength")
    @classmethod
    def _ordered(cls, strength: tuple[float, float]) -> tuple[float, float]:
        if strength[0] >= strength[1]:
            raise ValueError(f"a range of strengths is [low, high], got {list(strength)}")
        return strength

    @property
    def trained(self) -> bool:
        return False

    @property
    def t1_use(self) -> T1Use:
        return "none" if self.guide == "low" else "needed"

    @property
    def without_t1(self) -> str:
        return super().without_t1 if self.guide == "low" else "surroundings compared in PET alone"

    def on_pet_alone(self) -> Self:
        return self.model_copy(update={"guide": "low"})

    def describe(self) -> str:
        return (
            f"non-local means, surroundings compared in {_GUIDES[self.guide]}, "
            "strength of least validation NMSE"
        )
