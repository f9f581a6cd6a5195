"""Noise realisations of test slices, with lesions of known place, size and contrast in PET alone."""

from __future__ import annotations

from typing import Annotated, Self

from pydantic import Field, field_validator, model_validator

from quietpet.config.robustness import TestSet
from quietpet.config.section import Label, NonNegative, Positive, Section, SubjectId

ABSENT = "absent"
"""The lesion set without any lesion: the twin of every other one."""

MAX_LESIONS = 255
"""Lesions of a set are numbered in a byte."""

LesionContrast = Annotated[float, Field(ge=-1)]
"""Activity of a lesion / that of white matter, less 1: above 0 hot, below 0 cold, -1 empty."""


class LesionSetSettings(Section):
    """Lesions that are painted into a slice together: one of each radius and each contrast."""

    radii_mm: tuple[Positive, ...] = Field(
        (7.0, 5.0, 3.0),
        min_length=1,
        description="of the lesions' discs [mm]. They are placed in this order: one that is added at "
        "the end moves no other",
    )
    contrasts: tuple[LesionContrast, ...] = Field(
        (1.0, -0.5),
        min_length=1,
        description="activity of a lesion / that of white matter - 1; above 0 hot, below 0 cold",
    )
    gap_mm: NonNegative = Field(4.0, description="least distance between the edges of two lesions [mm]")

    @field_validator("contrasts")
    @classmethod
    def _seen(cls, contrasts: tuple[float, ...]) -> tuple[float, ...]:
        if 0 in contrasts:
            raise ValueError(
                f"a contrast of 0 is no lesion, got {list(contrasts)}; remove it: the twin without "
                f"lesions, {ABSENT}, is always there"
            )
        return contrasts

    @field_validator("radii_mm", "contrasts")
    @classmethod
    def _differ(cls, values: tuple[float, ...]) -> tuple[float, ...]:
        if repeated := [each for each in dict.fromkeys(values) if values.count(each) > 1]:
            raise ValueError(f"{repeated[0]:g} stands there twice; keep one")
        return values

    @model_validator(mode="after")
    def _countable(self) -> Self:
        count = len(self.radii_mm) * len(self.contrasts)
        if count > MAX_LESIONS:
            raise ValueError(
                f"{count} lesions (radii_mm times contrasts) are more than the {MAX_LESIONS} of one set"
            )
        return self

    def describe(self) -> str:
        """The lesions in the words of a methods section."""
        radii, contrasts = (
            ", ".join(f"{each:{sign}g}" for each in values)
            for values, sign in ((self.radii_mm, ""), (self.contrasts, "+"))
        )
        return f"discs of {radii} mm with contrasts {contrasts} to white matter"

    @property
    def lesions(self) -> tuple[tuple[float, float], ...]:
        """Radius [mm] and contrast of each lesion, in the order in which they are placed."""
        return tuple((radius, contrast) for radius in self.radii_mm for contrast in self.contrasts)


class RealisationSettings(Section):
    """Slices of test subjects that are measured again and again: the table `recovery`.

    The slices have none of the lesions of phantoms.lesions. Each of their realisations is measured at
    the standard and at the low dose, and is seeded by its own name.
    """

    data: tuple[TestSet, ...] = Field(
        min_length=1,
        description="dataset/setting of phantoms whose test slices are measured again and restored by "
        "every method, with its first training",
    )
    subjects: tuple[SubjectId, ...] | None = Field(
        None, min_length=1, description="of the test subjects; none: all of them"
    )
    slices: tuple[Annotated[int, Field(ge=0)], ...] | None = Field(
        None,
        min_length=1,
        description="slice indices on the scanner's image grid; none: the one in the middle of the data "
        "set's own. They are not rotated",
    )
    count: int = Field(
        20,
        ge=2,
        description="realisations of each slice and lesion set; more of them leave the earlier ones as "
        "they are. Below 20 biases and variances are known badly",
    )
    samples_per_slice: int | None = Field(
        1,
        ge=1,
        description="samples of each realisation by methods that sample; none: as many as "
        "methods.<name>.samples_per_slice says, whose mean is measured too",
    )
    lesion_sets: dict[Label, LesionSetSettings] = Field(
        {"present": LesionSetSettings()},
        min_length=1,
        description=f"lesions that are painted together, by name; {ABSENT}, with none, is always there",
    )

    without: tuple[Label, ...] = Field((), description="methods that do not restore them")

    @field_validator("data", "subjects", "slices", "without")
    @classmethod
    def _differ(cls, named: tuple[object, ...] | None) -> tuple[object, ...] | None:
        if repeated := [name for name in dict.fromkeys(named or ()) if (named or ()).count(name) > 1]:
            raise ValueError(f"{repeated[0]!r} stands there twice; keep one")
        return named

    def describe(self) -> str:
        """What is measured again, in the words of a methods section."""
        sets = "; ".join(f"{name}: {each.describe()}" for name, each in self.lesion_sets.items())
        return f"{', '.join(self.data)}, {self.count} times without lesions and with ({sets})"

    @field_validator("lesion_sets")
    @classmethod
    def _twin(cls, sets: dict[str, LesionSetSettings]) -> dict[str, LesionSetSettings]:
        if ABSENT in sets:
            raise ValueError(
                f"{ABSENT!r} is the name of the twin without lesions, which is always there; rename the "
                "set, or remove it"
            )
        return sets
