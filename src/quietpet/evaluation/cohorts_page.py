"""The two tables of cohorts as a page: what disease looks like after restoration, with warnings."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import groupby

import numpy as np

from quietpet.evaluation.cohort_rows import (
    ACTIVITY,
    LARGER,
    NO_EFFECT,
    NO_SPREAD,
    RATIO,
    RESTORED,
    SMALLER,
    STANDARD,
    TRUTH,
    UNCLEAR,
    UNTESTED,
    BiasRow,
    CohortPlan,
    EffectRow,
)
from quietpet.evaluation.effects import AGREEMENT, LEAST_SUBJECTS

MARKS = {SMALLER: "▼", LARGER: "▲", UNCLEAR: "", NO_EFFECT: "○", NO_SPREAD: "", UNTESTED: "", "": ""}
"""Behind an effect, by its verdict."""

UNTESTABLE = "not testable"


def render_cohorts(bias: Sequence[BiasRow], effects: Sequence[EffectRow], *, plan: CohortPlan) -> str:
    """Both tables as Markdown, without a heading of the first level; one section per diseased cohort."""
    blocks = []
    for diseased in plan.diseased:
        own = [row for row in effects if row.diseased == diseased]
        blocks += [f"## Cohorts: {diseased} against {plan.healthy}", _legend(own, plan)]
        for setting, members in groupby(own, key=lambda row: row.setting):
            blocks += _setting(setting, [*members], bias, (plan.healthy, diseased))
    return "\n\n".join(blocks)


def _setting(
    setting: str, effects: Sequence[EffectRow], bias: Sequence[BiasRow], cohorts: Sequence[str]
) -> Iterator[str]:
    yield f"### Setting `{setting}`"
    yield "\n".join(_sentences(effects))
    yield _effect_grid(effects)
    for cohort in cohorts:
        for quantity in (ACTIVITY, RATIO):
            rows = [
                row
                for row in bias
                if (row.cohort, row.setting, row.quantity) == (cohort, setting, quantity)
            ]
            if rows:
                yield _bias_grid(cohort, quantity, rows)


def _legend(rows: Sequence[EffectRow], plan: CohortPlan) -> str:
    percent = f"{100 * plan.confidence:g} %"
    lines = [
        "A region's activity: mean over its pixels in all test slices of a subject. Its ratio: over "
        f"that of `{plan.reference}` in the same image. Trainings are averaged first; n are subjects.",
        f"Effect: Hedges' g [{percent} interval of the population's d] of the ratio, diseased against "
        "healthy; negative where the diseased have less. In brackets Cohen's d in % of that of the "
        "standard dose. The interval is exact for normal groups that spread alike; where one spreads "
        "three times as much as the other, a 95 % interval covers 89 to 93 %.",
        f"{MARKS[SMALLER]} smaller, {MARKS[LARGER]} larger than at the standard dose: the {percent} "
        "interval of the change in the same subjects leaves 0 out, or the intervals of both d do not "
        "overlap. No mark: no change shown, which does not show that there is none. "
        f"{MARKS[NO_EFFECT]}: the standard dose shows no effect there, so none can be lost. Each region "
        "and method is tested by itself, without a correction for their number.",
        "d divides by the spread between subjects. A method that shrinks differences and spread alike "
        "keeps it: look at the differences, too (`difference_percent` in `effects.csv`).",
        f"Bias: error of a region's mean in %, mean over subjects [limits of agreement, between which "
        f"{100 * AGREEMENT:g} % of subjects lie]; intervals of the mean and of the limits are in "
        "`cohorts.csv`.",
    ]
    if any(row.same_heads for row in rows):
        lines.append(
            "Both cohorts are the same heads with uptake of their own: changes are of these heads, and "
            "the interval of an effect, which takes them for different people, is too wide rather than "
            "too narrow."
        )
    return "\n".join(f"- {line}" for line in lines)


def _sentences(rows: Sequence[EffectRow]) -> Iterator[str]:
    """How many subjects there are, and a warning for each method that shrinks an effect."""
    counts = sorted({(row.n_healthy, row.n_diseased) for row in rows})
    words = " or ".join(f"{healthy} healthy and {diseased} diseased" for healthy, diseased in counts)
    yield f"{words} test subjects."
    if small := [row.region for row in rows if row.image == STANDARD and row.verdict == UNTESTED]:
        yield (
            f"**Fewer than {LEAST_SUBJECTS} subjects in a group: whether a method keeps the effect can "
            f"not be said ({', '.join(small)}).**"
        )
    restored = [row for row in rows if row.image == RESTORED]
    if reaches := [row.change_high - row.change for row in restored if row.change is not None]:
        yield (
            f"So few subjects show changes of d beyond about {np.median(reaches):.1f} alone, the median "
            "reach of the intervals of the methods' changes."
        )
    for name, members in groupby(restored, key=name_of):
        if lost := [row for row in members if row.verdict == SMALLER]:
            yield ""
            yield f"> **WARNING - {name} shrinks the difference between the cohorts: {_losses(lost)}.**"


def _losses(rows: Sequence[EffectRow]) -> str:
    return "; ".join(
        f"{row.region}, d {_number(row.cohens_d)} where the standard dose has "
        f"{_number(None if row.cohens_d is None or row.change is None else row.cohens_d - row.change)} "
        f"(change {_number(row.change)} [{_number(row.change_low)}, {_number(row.change_high)}])"
        for row in rows
    )


def name_of(row: EffectRow | BiasRow) -> str:
    """A kind of image as rows call it."""
    if row.image != RESTORED:
        return f"{row.image} dose" if row.image != TRUTH else row.image
    learned = "" if row.learning == "-" else f", {row.learning}"
    single = "" if row.estimate == "single" else f", {row.estimate}"
    return f"`{row.method}`{learned}{single}"


def _effect_grid(rows: Sequence[EffectRow]) -> str:
    """Kinds of images down, regions across."""
    regions = list(dict.fromkeys(row.region for row in rows))
    lines = [_line(["effect, diseased against healthy", *regions]), _line(["---"] * (len(regions) + 1))]
    for name, members in groupby(rows, key=name_of):
        cells = {row.region: _effect_cell(row) for row in members}
        lines.append(_line([name, *(cells.get(region, "") for region in regions)]))
    return "\n".join(lines)


def _effect_cell(row: EffectRow) -> str:
    if row.hedges_g is None:
        return UNTESTABLE
    text = _number(row.hedges_g)
    if row.ci_low is None:
        return f"{text} ({UNTESTABLE})"
    text += f" [{_number(row.ci_low)}, {_number(row.ci_high)}]"
    if row.share_percent is not None and row.image != STANDARD:
        text += f" ({row.share_percent:.0f} %)"
    return f"{text} {MARKS[row.verdict]}".rstrip()


def _bias_grid(cohort: str, quantity: str, rows: Sequence[BiasRow]) -> str:
    """Kinds of images down, regions across; against the standard dose, then against the truth."""
    regions = list(dict.fromkeys(row.region for row in rows))
    against = list(dict.fromkeys(row.against for row in rows))
    words = " / ".join({STANDARD: "standard dose", TRUTH: "truth"}[each] for each in against)
    header = [f"bias of the {quantity}, {cohort} (%), against {words}", *regions]
    lines = [_line(header), _line(["---"] * len(header))]
    for name, members in groupby(rows, key=name_of):
        cells = {(row.region, row.against): _bias_cell(row) for row in members}
        lines.append(
            _line(
                [name]
                + [" / ".join(cells.get((region, each), "-") for each in against) for region in regions]
            )
        )
    return "\n".join(lines)


def _bias_cell(row: BiasRow) -> str:
    if row.loa_low is None:
        return f"{row.mean_percent:+.1f} (n = {row.n_subjects}, {UNTESTABLE})"
    return f"{row.mean_percent:+.1f} [{row.loa_low:+.1f}, {row.loa_high:+.1f}]"


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.2f}"


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"
