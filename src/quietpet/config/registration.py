"""Registration of PET to T1."""

from __future__ import annotations

import string
from pathlib import PurePath
from typing import Literal, Self

from pydantic import Field, model_validator

from quietpet.config.section import Positive, Section

EngineChoice = Literal["auto", "spm12", "embedded"]
"""What estimates a transform."""

RegistrationChoice = Literal["auto", "spm12", "embedded", "file", "identity"]

TRANSFORM_SUFFIXES = (".tfm", ".txt")


class RegistrationSettings(Section):
    """How PET is registered to T1, and when a result is not believed."""

    engine: RegistrationChoice = Field(
        "auto",
        description="auto: SPM12 where a working one is found, else the embedded engine, decided once "
        "for the study and written down; file: transforms of your own; identity: PET and T1 meet as "
        "their headers say",
    )
    transform: str | None = Field(
        None,
        description="with engine file: path of the transform from T1 to PET of each scan, relative "
        "to this file, with {participant} (without sub-) and {source} in it; an ITK file (.tfm), or a "
        "4 x 4 matrix in RAS mm (.txt), as the registered scans of a study have them",
    )
    correct_bias: bool = Field(
        True,
        description="estimate on T1 without its bias field (N4); the T1 that networks see keeps it",
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
        0.7,
        ge=0,
        le=1,
        description="and one with less than this part of the head of T1, without face and neck, in PET",
    )
    least_margin: float = Field(
        0.03,
        ge=0,
        lt=1,
        description="and one whose similarity (normalised mutual information - 1) drops by a smaller "
        "part 10 mm or 10 degrees away, or at the best place further away or turned",
    )

    @model_validator(mode="after")
    def _transform_named(self) -> Self:
        if (self.engine == "file") != (self.transform is not None):
            raise ValueError(
                f"engine {self.engine!r} {'needs' if self.engine == 'file' else 'has no'} transform, "
                "the path of a file per scan, such as transforms/sub-{participant}.tfm"
            )
        if self.transform is not None:
            _require_pattern(self.transform)
        return self

    def transform_of(self, source: str, participant: str) -> str | None:
        """Path of the transform that the user gives for a scan; None where engines estimate it."""
        if self.transform is None:
            return None
        return self.transform.format(source=source, participant=participant)


def _require_pattern(transform: str) -> None:
    try:
        fields = {(name, spec, how) for _, name, spec, how in string.Formatter().parse(transform)}
    except ValueError as error:
        raise ValueError(f"transform {transform!r}: {error}; a brace of the path is doubled") from None
    known = {(name, "", None) for name in ("source", "participant")} | {(None, None, None)}
    if fields - known:
        raise ValueError(
            f"transform {transform!r}: what stands in braces is {{participant}} or {{source}} alone"
        )
    if PurePath(transform).suffix not in TRANSFORM_SUFFIXES:
        raise ValueError(
            f"transform {transform!r}: its name must end with {' or '.join(TRANSFORM_SUFFIXES)}; FSL's "
            "matrices count voxels, and other programs' files are of many kinds: convert them"
        )
