"""Metric conventions and statistics."""

from __future__ import annotations

from pydantic import Field

from quietpet.config.section import Section


class EvaluationSettings(Section):
    """Metric conventions and statistics."""

    paper_window_pixels: int = Field(
        132,
        ge=16,
        description="side of the central window of the variant 'paper' (fits the published row)",
    )
    bootstrap_resamples: int = Field(2000, ge=100, description="resamples of subjects for the intervals")
    confidence: float = Field(0.95, gt=0, lt=1, description="level of the confidence intervals")
