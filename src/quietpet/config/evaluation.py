"""Metric conventions and statistics."""

from __future__ import annotations

from pydantic import Field

from quietpet.config.section import Label, Section


class MetricSettings(Section):
    """How restored slices are measured: what scores depend on."""

    paper_window_pixels: int = Field(
        132,
        ge=16,
        description="side of the central window of the variant 'paper' (fits the published row)",
    )


class EvaluationSettings(MetricSettings):
    """Metric conventions and statistics."""

    confidence: float = Field(
        0.95, gt=0, lt=1, description="level of the confidence intervals; tests are at 1 - this"
    )
    compare_with: Label | None = Field(
        None,
        description="method that all others are compared with, subject by subject; none: mfdiff, or in "
        "a study without it the first network, or without networks the first method",
    )
