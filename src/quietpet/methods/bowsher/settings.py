"""Settings of MAP-EM with the Bowsher prior."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, field_validator, model_validator

from quietpet.config.methods import MethodSettings
from quietpet.config.section import Positive


class Settings(MethodSettings):
    """MR-guided reconstruction of the low-dose sinograms: the classical baseline that knows the T1.

    The weight of the prior is chosen on the validation slices. The point spread is that of the dose; its
    number of OSEM iterations and its post-filter are not used.
    """

    kind: Literal["bowsher"] = "bowsher"
    neighbours: int = Field(
        12, ge=1, description="neighbours per pixel: those most similar in T1; fewer smooth less far"
    )
    radius_pixels: int = Field(
        4, ge=1, le=5, description="they are sought in the square of 2 radius + 1 pixels"
    )
    symmetric: bool = Field(
        True, description="a pair counts with the mean of what its two pixels choose, not one's choice"
    )
    beta: tuple[Positive, Positive] = Field(
        (0.1, 100.0),
        description="range in which the weight of the prior is sought; the prior is of differences "
        "relative to the low-dose activity of the slice, so that one weight suits all slices and doses",
    )
    iterations: int = Field(10, ge=1, description="MAP-EM iterations (passes over all views)")
    subsets: int = Field(
        14,
        ge=1,
        description="ordered subsets, at most one per view; with 1 no step lowers the objective",
    )

    @field_validator("beta")
    @classmethod
    def _ordered(cls, beta: tuple[float, float]) -> tuple[float, float]:
        if beta[0] >= beta[1]:
            raise ValueError(f"a range of weights is [low, high], got {list(beta)}")
        return beta

    @model_validator(mode="after")
    def _neighbours_fit(self) -> Settings:
        around = (2 * self.radius_pixels + 1) ** 2 - 1
        if self.neighbours > around:
            raise ValueError(
                f"neighbours = {self.neighbours} exceeds the {around} pixels within "
                f"radius_pixels = {self.radius_pixels}"
            )
        return self

    @property
    def trained(self) -> bool:
        return False

    @property
    def without_t1(self) -> str:
        return "refused: its prior is the neighbours that T1 chooses"

    @property
    def reconstructs(self) -> bool:
        return True

    @property
    def least_views(self) -> int:
        return self.subsets

    def describe(self) -> str:
        return (
            f"MAP-EM of the sinograms, Bowsher prior with {self.neighbours} of "
            f"{(2 * self.radius_pixels + 1) ** 2 - 1} T1 neighbours, weight of least validation NMSE"
        )
