"""What all sections of the configuration share: frozen, no unknown keys, and types with limits."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated, get_args

from pydantic import BaseModel, ConfigDict, Field, GetCoreSchemaHandler, model_validator
from pydantic_core import PydanticCustomError, core_schema

Positive = Annotated[float, Field(gt=0)]
NonNegative = Annotated[float, Field(ge=0)]
SubjectId = Annotated[str, Field(pattern=r"^[A-Za-z0-9+]+$")]
"""A label of BIDS: letters, digits and, since BIDS 1.11, plus signs."""
LABEL = "[a-z][a-z0-9_]*"
"""Pattern of a name in the configuration."""
Label = Annotated[str, Field(pattern=f"^{LABEL}$")]
BRACES = "{}"
"""In a path that Snakemake is given, they mark a wildcard."""

SETTING = "[a-z0-9][a-z0-9_]*"
"""Pattern of the name of a window or a setting; it may begin with a digit: 2min, 16s."""


TRUTH = "truth_for_a_number"
"""Type of the error of a section whose ``key`` got true or false."""


@dataclass(frozen=True)
class OneOf:
    """Of an annotated ``str``: it is one of ``names``, which are found and not written down as types."""

    names: tuple[str, ...]

    def __get_pydantic_core_schema__(
        self, source: type, handler: GetCoreSchemaHandler
    ) -> core_schema.CoreSchema:
        return core_schema.literal_schema(list(self.names))


class Section(BaseModel):
    """A frozen part of the configuration that refuses keys it does not know, and truth for numbers."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False, defer_build=True)

    @model_validator(mode="before")
    @classmethod
    def _no_truth_for_a_number(cls, raw: object) -> object:
        if not isinstance(raw, dict):
            return raw
        # Python counts True as 1.
        for name, field in cls.model_fields.items():
            kinds = set(_parts(field.annotation))
            if kinds & {int, float} and bool not in kinds and _holds_truth(raw.get(name)):
                raise PydanticCustomError(
                    TRUTH,
                    "a number is wanted, got {found}, as YAML reads yes, no, on, off, true and false; "
                    "write a number, or null where there may be none",
                    {"key": name, "found": repr(raw[name])},
                )
        return raw


def _holds_truth(value: object) -> bool:
    return isinstance(value, bool) or (isinstance(value, list) and any(map(_holds_truth, value)))


def _parts(annotation: object) -> Iterator[object]:
    """``annotation`` and all types that it is made of."""
    yield annotation
    for part in get_args(annotation):
        yield from _parts(part)
