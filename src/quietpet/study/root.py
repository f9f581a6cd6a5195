"""A whole study: every section of ``config.yaml`` together, checked against each other.

Kept free of torch, so that Snakemake validates a study in well under a second.
"""

from __future__ import annotations

from typing import Self

from pydantic import model_validator

from quietpet.study.checks import require_consistent
from quietpet.study.contents import StudyContents


class Study(StudyContents):
    """Everything that decides the numbers in ``results/tables.csv``."""

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        require_consistent(self)
        return self
