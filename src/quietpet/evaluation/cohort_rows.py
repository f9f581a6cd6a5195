"""What the two tables of cohorts hold: plan, rows, and the words in them."""

from __future__ import annotations

from dataclasses import dataclass

from quietpet.evaluation.rows import Row, columns_of

ACTIVITY, RATIO = "activity", "ratio"
"""A region's mean, and the same over that of the reference region of the same image."""

TRUTH, STANDARD, LOW, RESTORED = "truth", "standard", "low", "restored"

SMALLER, LARGER, UNCLEAR = "smaller", "larger", "no change shown"
REVERSED = "reversed"
"""Of an effect that is shown, and of the other sign than at the standard dose."""
NO_EFFECT = "no effect at the standard dose"
NO_SPREAD, UNTESTED = "no spread between subjects", "not testable"
"""Verdicts on an effect beside that of the standard dose."""


@dataclass(frozen=True, kw_only=True)
class CohortPlan:
    """Which data sets are compared, and how.

    ``methods``, ``learned`` and ``settings`` give the order of rows.
    """

    healthy: str
    diseased: tuple[str, ...]
    reference: str
    confidence: float
    protocol: str
    methods: tuple[str, ...]
    learned: tuple[str, ...] = ()
    settings: tuple[str, ...] = ()

    @property
    def cohorts(self) -> tuple[str, ...]:
        """All data sets, the healthy first."""
        return (self.healthy, *self.diseased)


@dataclass(frozen=True, kw_only=True)
class BiasRow(Row):
    """One row of ``cohorts.csv``: errors of a region's mean, in percent of ``against``, over subjects.

    The fields are its columns, None is an empty cell. ``loa_low`` and ``loa_high`` are the limits of
    agreement, each with its interval; ``n_subjects`` are those whose slices cross the region.
    """

    cohort: str
    setting: str
    image: str
    method: str
    learning: str
    estimate: str
    region: str
    quantity: str
    against: str
    n_subjects: int
    n_replicates: int
    mean_percent: float
    ci_low: float | None
    ci_high: float | None
    loa_low: float | None
    loa_low_ci_low: float | None
    loa_low_ci_high: float | None
    loa_high: float | None
    loa_high_ci_low: float | None
    loa_high_ci_high: float | None
    verdict: str
    protocol: str
    data_source: str
    projector: str
    registration: str


@dataclass(frozen=True, kw_only=True)
class EffectRow(Row):
    """One row of ``effects.csv``: the diseased against the healthy in one region of one kind of image.

    Of the region's ratio to ``reference``. ``difference_percent`` is of the healthy mean;
    ``gap_percent`` how much more the image errs in the diseased than in the healthy, relative to the
    standard dose, and ``difference_verdict`` what that says of the difference. ``share_percent`` is d in
    percent of that of the standard dose, ``change`` d minus it, empty where the standard dose shows no
    effect or too few subjects are there. ``seed_std``: standard deviation of d over trainings from
    different seeds. ``same_heads``: whether both cohorts are the same BrainWeb heads; template heads
    are drawn anew for each data set, whatever they are called.
    """

    healthy: str
    diseased: str
    setting: str
    image: str
    method: str
    learning: str
    estimate: str
    region: str
    reference: str
    n_healthy: int
    n_diseased: int
    n_replicates: int
    mean_healthy: float | None
    mean_diseased: float | None
    difference_percent: float | None
    gap_percent: float | None
    gap_low: float | None
    gap_high: float | None
    difference_verdict: str
    cohens_d: float | None
    hedges_g: float | None
    ci_low: float | None
    ci_high: float | None
    seed_std: float | None
    share_percent: float | None
    change: float | None
    change_low: float | None
    change_high: float | None
    verdict: str
    same_heads: bool
    protocol: str
    data_source: str
    projector: str
    registration: str


BIAS_COLUMNS = columns_of(BiasRow)
EFFECT_COLUMNS = columns_of(EffectRow)
