"""What all sections of the configuration share: frozen, no unknown keys, and types with limits."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

Positive = Annotated[float, Field(gt=0)]
NonNegative = Annotated[float, Field(ge=0)]
SubjectId = Annotated[str, Field(pattern=r"^[A-Za-z0-9+]+$")]
"""A label of BIDS: letters, digits and, since BIDS 1.11, plus signs."""
Label = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$")]


class Section(BaseModel):
    """A frozen part of the configuration that refuses keys it does not know."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)
