"""Two methods that restored the same subjects: their difference, and whether it can be told from 0.

Subjects and trainings both make a difference uncertain. It is called better or worse where it is shown
over subjects, and over subjects and trainings: where both intervals leave 0 out, and both p, corrected
for all comparisons of a family, are at most the level.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import count

import numpy as np
from scipy.special import stdtr, stdtrit
from scipy.stats import wilcoxon

from quietpet.evaluation.effects import LEAST_SUBJECTS, RESOLUTION, hedges_factor
from quietpet.evaluation.statistics import Interval, t_interval

BETTER, WORSE = "better", "worse"
HIGHER, LOWER = "higher", "lower"
"""Of metrics in which neither more nor less is better."""

UNCLEAR, SAME, UNTESTED = "no difference shown", "equal", "not testable"


@dataclass(frozen=True, kw_only=True, eq=False)
class Measured:
    """One method's means, (subject, training); ``trained``: whether another seed would change them.

    ``least_variance``: the variance between trainings counts as no less; that of two trainings may be
    next to nothing by chance.
    """

    method: str
    values: np.ndarray
    trained: bool
    least_variance: float = 0.0

    @property
    def trainings(self) -> int:
        return self.values.shape[1]

    @property
    def training_variance(self) -> float:
        """Variance, by trainings, of the mean over subjects and trainings; 0 of what is not trained.

        It holds what trainings differ by in subjects of their own, too: the variance over subjects has
        that as well, so that the sum of both is rather too large than too small.
        """
        if not self.trained:
            return 0.0
        return max(between_trainings(self.values), self.least_variance) / self.trainings


def between_trainings(values: np.ndarray) -> float:
    """Variance, between trainings, of the mean over subjects of ``values`` (subject, training)."""
    return float(np.var(values.mean(axis=0), ddof=1))


def pooled_between_trainings(of_methods: Iterable[np.ndarray]) -> float:
    """The same of several methods, weighted by their degrees of freedom; 0 of single trainings."""
    several = [values for values in of_methods if values.shape[1] > 1 and np.isfinite(values).all()]
    freedom = sum(values.shape[1] - 1 for values in several)
    squares = sum((values.shape[1] - 1) * between_trainings(values) for values in several)
    return squares / freedom if freedom else 0.0


@dataclass(frozen=True, kw_only=True)
class PairedDifference:
    """A method's values minus another's, of the same subjects; None where it cannot be estimated.

    ``interval`` and the two-sided ``p`` are Student's, over subjects; ``total_interval`` and ``total_p``
    of subjects and trainings, None with methods ``trained_once``, of which nobody knows what another
    seed changes. ``cohens_dz``: mean over standard deviation of the subjects' differences,
    ``hedges_gz`` without its bias in few subjects. ``wilcoxon_p``: of the signed-rank test.
    """

    by_subject: tuple[float, ...]
    mean: float
    interval: Interval | None
    total_interval: Interval | None
    p: float | None
    total_p: float | None
    cohens_dz: float | None
    hedges_gz: float | None
    wilcoxon_p: float | None
    trained_once: tuple[str, ...] = ()

    @property
    def subjects(self) -> int:
        return len(self.by_subject)

    @property
    def nonzero(self) -> int:
        """Subjects in whom the methods differ: those that the signed-rank test has."""
        return int(np.count_nonzero(self.by_subject))


def paired_difference(found: Measured, reference: Measured, *, confidence: float) -> PairedDifference:
    """``found`` minus ``reference``, which have the same subjects in the same order.

    The mean over subjects and trainings has the variance s_d^2 / n, of the n subjects' differences d,
    and of each trained method that of its trainings, which are independent of each other. Their sum has
    Satterthwaite's degrees of freedom (Biometrics Bull 1946;2:110). As in studies of several readers and
    cases (Hillis, Stat Med 2007;26:596), subjects and trainings are drawn both. Differences that images
    of float32 do not resolve are 0.

    Of two trainings a variance of one degree of freedom is estimated, often far too small; so the one
    pooled over the methods of a table is the least.
    """
    differences = _resolved(found.values.mean(axis=1), reference.values.mean(axis=1))
    n, mean = len(differences), float(np.mean(differences))
    once = [each.method for each in (found, reference) if each.trained and each.trainings < 2]
    if not np.isfinite(differences).all() or n < 2:
        return PairedDifference(
            by_subject=tuple(map(float, differences)), mean=mean, interval=None, total_interval=None,
            p=None, total_p=None, cohens_dz=None, hedges_gz=None, wilcoxon_p=None,
            trained_once=tuple(once),
        )  # fmt: skip
    spread = float(np.std(differences, ddof=1))
    total = None if once else _total_error(spread, n, found, reference)
    dz = mean / spread if spread > 0 else None
    tested = n >= LEAST_SUBJECTS
    return PairedDifference(
        by_subject=tuple(map(float, differences)),
        mean=mean,
        interval=t_interval(differences, confidence=confidence),
        total_interval=_interval(mean, *total, confidence) if total else None,
        p=_two_sided_p(mean, spread / n**0.5, n - 1) if tested else None,
        total_p=_two_sided_p(mean, *total) if total and tested else None,
        cohens_dz=dz,
        hedges_gz=None if dz is None else hedges_factor(n - 1) * dz,
        wilcoxon_p=wilcoxon_p(differences, level=1 - confidence),
        trained_once=tuple(once),
    )


def _resolved(found: np.ndarray, reference: np.ndarray) -> np.ndarray:
    with np.errstate(invalid="ignore"):  # infinite values of both
        differences = found - reference
        size = (np.abs(found) + np.abs(reference)) / 2
        return np.where(np.abs(differences) > RESOLUTION * size, differences, differences * 0.0)


_Error = tuple[float, float]
"""Standard error, and its degrees of freedom."""


def _total_error(spread: float, n: int, found: Measured, reference: Measured) -> _Error:
    parts = [(spread**2 / n, n - 1)]
    parts += [
        (each.training_variance, each.trainings - 1) for each in (found, reference) if each.trained
    ]
    variance = sum(part for part, _ in parts)
    squares = sum(part**2 / freedom for part, freedom in parts)
    return variance**0.5, variance**2 / squares if squares > 0 else float(n - 1)


def _interval(mean: float, error: float, freedom: float, confidence: float) -> Interval:
    reach = float(stdtrit(freedom, (1 + confidence) / 2)) * error
    return mean - reach, mean + reach


def _two_sided_p(mean: float, error: float, freedom: float) -> float:
    if mean == 0:
        return 1.0
    return float(2 * stdtr(freedom, -abs(mean) / error)) if error > 0 else 0.0


def wilcoxon_p(differences: np.ndarray, *, level: float) -> float | None:
    """Two-sided p of the signed-rank test (Wilcoxon, Biometrics Bull 1945;1:80); differences of 0 drop.

    Exact for up to 50 subjects, or 13 where differences tie. None where no p of so few subjects reaches
    the ``level``.
    """
    nonzero = differences[differences != 0]
    return float(wilcoxon(nonzero).pvalue) if least_wilcoxon_p(len(nonzero)) <= level else None


def least_wilcoxon_p(subjects: int) -> float:
    """The smallest two-sided p that the signed-rank test of so many subjects can have, 2 / 2^n."""
    return min(1.0, 2.0 ** (1 - subjects))


def least_wilcoxon_subjects(*, family: int, level: float) -> int:
    """So many subjects the signed-rank test needs to show one of ``family`` comparisons at ``level``."""
    return next(n for n in count(1) if family * least_wilcoxon_p(n) <= level)


def holm(p: Sequence[float | None]) -> list[float | None]:
    """The p of a family of tests, corrected (Holm, Scand J Statist 1979;6:65); None stays None.

    The k-th smallest of m is multiplied by m + 1 - k, and is at least the one before. (As statsmodels'
    ``multipletests`` has it, which collects all garbage of the process at every call.)
    """
    tested = [number for number, each in enumerate(p) if each is not None]
    corrected, least = list(p), 0.0
    for rank, number in enumerate(sorted(tested, key=lambda number: float(p[number] or 0.0))):
        least = min(1.0, max(least, (len(tested) - rank) * float(p[number] or 0.0)))
        corrected[number] = least
    return corrected


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """What may be said of a difference, and why no more."""

    word: str
    reason: str = ""


@dataclass(frozen=True, kw_only=True)
class Judged:
    """One difference of a family of comparisons: its p, corrected for all of them, and its verdict."""

    pair: PairedDifference
    p_holm: float | None
    total_p_holm: float | None
    wilcoxon_p_holm: float | None
    verdict: Verdict


def judge(family: Sequence[PairedDifference], *, better: int, confidence: float) -> tuple[Judged, ...]:
    """What each difference of a ``family`` of comparisons with one method shows.

    ``better``: whether more (1) or less (-1) of the metric is better, or neither (0).
    """
    p = holm([pair.p for pair in family])
    total_p = holm([pair.total_p for pair in family])
    signed_rank_p = holm([pair.wilcoxon_p for pair in family])
    tested = sum(each is not None for each in p)
    return tuple(
        Judged(
            pair=pair,
            p_holm=p[number],
            total_p_holm=total_p[number],
            wilcoxon_p_holm=signed_rank_p[number],
            verdict=verdict(
                pair,
                p_holm=p[number],
                total_p_holm=total_p[number],
                family=tested,
                better=better,
                confidence=confidence,
            ),
        )
        for number, pair in enumerate(family)
    )


def verdict(
    pair: PairedDifference,
    *,
    p_holm: float | None,
    total_p_holm: float | None,
    family: int,
    better: int,
    confidence: float,
) -> Verdict:
    """What ``pair`` shows, one of ``family`` comparisons for which both p are corrected.

    ``better``: whether more (1) or less (-1) of the metric is better, or neither (0). A word that a
    difference is there is said where both p, over subjects and over subjects and trainings, allow it.
    Of 16 equal methods any gets one in about 5 % of studies (at 95 % confidence) where trainings do not
    differ, and in fewer than 1 % where they do, in all methods or in half of them: simulated with 3
    subjects and 2 trainings up to 20 and 5. With ``total_p`` uncorrected it would be up to 17 %.
    """
    doubt = _untestable(pair) or _unshown(pair, p_holm, total_p_holm, family, level=1 - confidence)
    if doubt:
        return doubt
    rising = pair.mean > 0
    if better == 0:
        return Verdict(word=HIGHER if rising else LOWER)
    return Verdict(word=BETTER if rising == (better > 0) else WORSE)


def _untestable(pair: PairedDifference) -> Verdict | None:
    if not np.isfinite(pair.by_subject).all():
        return Verdict(word=UNTESTED, reason="infinite values")
    if pair.nonzero == 0:
        return Verdict(word=SAME, reason="the same values in every subject")
    if pair.subjects < LEAST_SUBJECTS:
        found = "1 subject" if pair.subjects == 1 else f"{pair.subjects} subjects"
        return Verdict(word=UNTESTED, reason=f"{found}, at least {LEAST_SUBJECTS} are needed")
    return None


def _unshown(
    pair: PairedDifference,
    p_holm: float | None,
    total_p_holm: float | None,
    family: int,
    *,
    level: float,
) -> Verdict | None:
    if _holds_0(pair.interval):
        return Verdict(word=UNCLEAR, reason="the interval over subjects holds 0")
    if p_holm is None or p_holm > level:
        return Verdict(word=UNCLEAR, reason=f"not after Holm's correction for {family} comparisons")
    if pair.trained_once:
        names = " and ".join(pair.trained_once)
        return Verdict(
            word=UNTESTED, reason=f"one training of {names}: what another seed changes is not known"
        )
    if _holds_0(pair.total_interval):
        return Verdict(word=UNCLEAR, reason="the interval over subjects and trainings holds 0")
    if total_p_holm is None or total_p_holm > level:
        return Verdict(
            word=UNCLEAR, reason="not after Holm's correction of p over subjects and trainings"
        )
    return None


def _holds_0(interval: Interval | None) -> bool:
    return interval is None or interval[0] <= 0 <= interval[1]


def wilcoxon_reason(pair: PairedDifference, *, family: int, confidence: float) -> str:
    """Why the signed-rank test can show nothing, in a family of so many; empty where it can."""
    if not np.isfinite(pair.by_subject).all():
        return f"{UNTESTED}: infinite values"
    least, level = least_wilcoxon_p(pair.nonzero), 1 - confidence
    if least > level:
        return f"{UNTESTED}: p of {pair.nonzero} differing subject(s) is at least {least:.3g}"
    if family * least > level:
        corrected = f"p of {pair.nonzero} differing subjects and {family} comparisons"
        return f"{UNTESTED}: {corrected} is at least {family * least:.3g}"
    return ""
