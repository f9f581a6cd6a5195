"""Which slices of which subjects form a data set, and how they are packed."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, field_validator, model_validator

from quietpet.config.section import Section, SubjectId

SPLITS = ("train", "validation", "test")

DatasetKind = Literal["simulated", "scanned"]
"""Phantoms that this study measures itself, or images of scans that are there already."""


class SliceSettings(Section):
    """Which transaxial slices enter the data set, and how they are augmented."""

    indices: tuple[Annotated[int, Field(ge=0)], ...] = Field(
        tuple(range(65, 85, 2)),
        min_length=1,
        description="slice indices on the scanner's image grid (the mMR's has 127 slices)",
    )
    rotations: int = Field(5, ge=1, description="in-plane rotations per slice; the first is 0")
    max_angle_deg: float = Field(15.0, ge=0, le=180, description="rotations are uniform in +-this [deg]")

    @field_validator("indices")
    @classmethod
    def _distinct(cls, indices: tuple[int, ...]) -> tuple[int, ...]:
        if len(set(indices)) != len(indices):
            raise ValueError(f"slice indices must differ from each other, got {indices}")
        return indices


class SplitSettings(Section):
    """Which subject trains, validates and tests; a subject may serve only once."""

    train: tuple[SubjectId, ...] = Field(min_length=1)
    validation: tuple[SubjectId, ...] = Field(min_length=1)
    test: tuple[SubjectId, ...] = Field(min_length=1)

    @model_validator(mode="after")
    def _disjoint(self) -> SplitSettings:
        seen: dict[str, str] = {}
        for split in SPLITS:
            for subject in getattr(self, split):
                if subject in seen:
                    raise ValueError(
                        f"subject {subject!r} is in {seen[subject]!r} and again in {split!r}; "
                        "a subject in two places leaks its anatomy: remove it from one"
                    )
                seen[subject] = split
        return self

    @property
    def subjects(self) -> tuple[str, ...]:
        return (*self.train, *self.validation, *self.test)


class DatasetSettings(Section):
    """How slices are packed."""

    pixels: int = Field(
        192,
        ge=64,
        multiple_of=2,
        description="side of the packed square crop, at most the number of the scanner's bins",
    )
