"""The untreated dose that each method equals, from its scores and those of the low-dose image itself."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from quietpet.evaluation.dose_equivalent import NOT_MONOTONE, TOO_FEW, Found, over_subjects, where
from quietpet.evaluation.dose_response import HEADLINES, OWN_DOSE, DosePlan, DoseScores, Headline
from quietpet.evaluation.rows import Row, columns_of

EQUIVALENT = "equivalent dose"
"""The question of a row: which untreated dose equals the method at this one."""


@dataclass(frozen=True, kw_only=True)
class EquivalentRow(Row):
    """One answer; the fields are the columns of ``dose_equivalent.csv``, None an empty cell.

    ``question`` is "equivalent dose": ``value`` is the untreated fraction of the standard dose that is
    as good as the method at ``setting``, and ``factor`` its ratio to ``fraction``. Or it is "dose of
    factor k": ``value`` is the fraction at which the method equals an untreated scan of k times that
    dose. Both are geometric means over subjects with t intervals of the logarithm; ``status`` says why
    there is none, ``subjects`` what each subject has. ``way`` is how the doses of the curve are given.
    """

    dataset: str
    way: str
    question: str
    setting: str
    fraction: float | None
    method: str
    learning: str
    estimate: str
    metric: str
    variant: str
    value: float | None
    ci_low: float | None
    ci_high: float | None
    factor: float | None
    factor_ci_low: float | None
    factor_ci_high: float | None
    status: str
    n_subjects: int
    within: int
    above: int
    below: int
    not_monotone: int
    too_few: int
    subjects: str

    @property
    def headline(self) -> Headline:
        return self.metric, self.variant


EQUIVALENT_COLUMNS = columns_of(EquivalentRow)


@dataclass(frozen=True, kw_only=True, eq=False)
class UntreatedCurve:
    """A metric of the low-dose image itself against dose, of doses that are given in one way.

    ``values`` (dose, subject), so that more is better. ``fractions`` rise.
    """

    way: str
    fractions: np.ndarray
    values: pd.DataFrame

    def equivalents(self, by_subject: pd.Series) -> dict[str, Found]:
        """For each subject the dose at which it is as good as ``by_subject``, more being better."""
        return {
            subject: self._equivalent(self.values[subject].to_numpy(), value)
            for subject, value in by_subject.items()
        }

    def _equivalent(self, curve: np.ndarray, value: float) -> Found:
        """A curve that does not improve with the dose has no equivalent."""
        if not (np.diff(curve) > 0).all():
            return Found(None, NOT_MONOTONE)
        return where(self.fractions, curve, value)


def reference_way(dataset: str, plan: DosePlan) -> str | None:
    """How the doses of the untreated curve are given: the way that most have; None without two."""
    by_way: dict[str, set[float]] = {}
    for amount in plan.of(dataset).values():
        by_way.setdefault(amount.way, set()).add(amount.fraction)
    way, fractions = max(by_way.items(), key=lambda item: len(item[1]))
    return way if len(fractions) > 1 else None


def equivalent_rows(scores: Sequence[DoseScores], *, plan: DosePlan) -> Iterator[EquivalentRow]:
    """Answers for every method, in the order of ``scores``; none of data sets without such a curve."""
    own = [each for each in scores if each.trained_on == OWN_DOSE and HEADLINES[each.headline]]
    curves: dict[tuple[str, Headline], UntreatedCurve | None] = {}
    runs: dict[tuple[str, ...], list[DoseScores]] = {}
    for each in own:
        key = each.dataset, each.headline
        if key not in curves:
            curves[key] = _untreated(
                [other for other in own if (other.dataset, other.headline) == key], plan
            )
        runs.setdefault(each.curve, []).append(each)
    for members in runs.values():
        first = members[0]
        curve = curves[first.dataset, first.headline]
        if curve is not None:
            yield from _answers(members, curve, plan)


def _untreated(scores: Sequence[DoseScores], plan: DosePlan) -> UntreatedCurve | None:
    """The curve of the low-dose image itself; doses of one fraction count with their mean."""
    dataset, better = scores[0].dataset, HEADLINES[scores[0].headline]
    way, amounts = reference_way(dataset, plan), plan.of(dataset)
    at = {
        each.setting: better * each.by_subject
        for each in scores
        if each.method in plan.low_dose[:1] and amounts[each.setting].way == way
    }
    if way is None or len(at) < 2:
        return None
    fractions = [amounts[setting].fraction for setting in at]
    values = pd.DataFrame(list(at.values()), index=fractions).groupby(level=0).mean().sort_index()
    return UntreatedCurve(way=way, fractions=values.index.to_numpy(), values=values)


def _answers(
    members: Sequence[DoseScores], curve: UntreatedCurve, plan: DosePlan
) -> Iterator[EquivalentRow]:
    """The equivalent of each dose, then the dose of each factor.

    Of the low-dose image itself at doses that are given in another way than those of the curve.
    """
    amounts, better = plan.of(members[0].dataset), HEADLINES[members[0].headline]
    untreated = members[0].method in plan.low_dose[:1]
    factors: dict[str, dict[float, Found]] = {}
    for each in members:
        if untreated and amounts[each.setting].way == curve.way:
            continue
        fraction = amounts[each.setting].fraction
        found = curve.equivalents(better * each.by_subject)
        yield _row(each, curve, plan, found, question=EQUIVALENT, fraction=fraction)
        if amounts[each.setting].way == curve.way:
            for subject, place in found.items():
                factors.setdefault(subject, {})[fraction] = place
    for factor in plan.factors if factors else ():
        at = {subject: _dose_of(factor, places) for subject, places in factors.items()}
        yield _row(members[0], curve, plan, at, question=f"dose of factor {factor:g}", factor=factor)


def _dose_of(factor: float, places: Mapping[float, Found]) -> Found:
    """Where the equivalent dose is ``factor`` times the dose, of a subject's equivalents by dose."""
    known = {dose: place.value for dose, place in sorted(places.items()) if place.value is not None}
    if len(known) < 2:
        return Found(None, TOO_FEW)
    logs = [float(np.log(equal / dose)) for dose, equal in known.items()]
    return where(list(known), logs, float(np.log(factor)))


def _row(
    scores: DoseScores,
    curve: UntreatedCurve,
    plan: DosePlan,
    found: Mapping[str, Found],
    *,
    question: str,
    fraction: float | None = None,
    factor: float | None = None,
) -> EquivalentRow:
    mean = over_subjects(list(found.values()), confidence=plan.confidence)
    values = (mean.mean, mean.ci_low, mean.ci_high)
    ratios = [value / fraction if fraction and value is not None else None for value in values]
    names = {name: value for name, value in scores.names.items() if name != "trained_on"}
    return EquivalentRow(
        **{**names, "setting": scores.setting if fraction else "-"},
        way=curve.way,
        question=question,
        fraction=fraction,
        value=values[0],
        ci_low=values[1],
        ci_high=values[2],
        factor=factor if fraction is None else ratios[0],
        factor_ci_low=ratios[1],
        factor_ci_high=ratios[2],
        status=mean.status,
        n_subjects=len(found),
        within=mean.within,
        above=mean.above,
        below=mean.below,
        not_monotone=mean.not_monotone,
        too_few=mean.too_few,
        subjects="; ".join(
            f"{subject}: {place.status if place.value is None else f'{place.value:.3g}'}"
            for subject, place in found.items()
        ),
    )
