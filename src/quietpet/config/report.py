"""What the report shows beside the tables."""

from __future__ import annotations

from pydantic import Field, field_validator

from quietpet.config.robustness import TestSet
from quietpet.config.section import Section


class ReportSettings(Section):
    """What `results/report.html` shows beside the tables."""

    gallery: tuple[TestSet, ...] | None = Field(
        None,
        description="dataset/setting of which one test slice is shown, restored by every method; none "
        "given: the published dose of the phantoms, or their first; []: no images",
    )

    @field_validator("gallery")
    @classmethod
    def _differ(cls, named: tuple[str, ...] | None) -> tuple[str, ...] | None:
        if repeated := [name for name in dict.fromkeys(named or ()) if (named or ()).count(name) > 1]:
            raise ValueError(f"{repeated[0]!r} stands there twice; keep one")
        return named
