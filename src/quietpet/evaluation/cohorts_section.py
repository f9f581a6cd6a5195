"""The two tables of cohorts as a section of the report: what disease looks like after restoration."""

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
    REVERSED,
    SMALLER,
    STANDARD,
    TRUTH,
    UNCLEAR,
    UNTESTED,
    BiasRow,
    CohortPlan,
    EffectRow,
)
from quietpet.evaluation.effects import AGREEMENT, LEAST_SUBJECTS, hedges_factor
from quietpet.files.sections import Cell, Column, Section, ShownFigure, Table, anchor

MARKS = {
    SMALLER: "▼", LARGER: "▲", REVERSED: "⇅", UNCLEAR: "", NO_EFFECT: "○", NO_SPREAD: "", UNTESTED: "",
    "": "",
}  # fmt: skip
"""Behind an effect, by its verdict."""


def cohorts_section(
    bias: Sequence[BiasRow], effects: Sequence[EffectRow], *, plan: CohortPlan, figure: str | None = None
) -> Section:
    """Both tables, a section below for each diseased cohort; ``figure`` is the name of a file."""
    return Section(
        id="cohorts",
        title="Cohorts",
        summary=f"What a disease looks like after restoration: {', '.join(plan.diseased)} against "
        f"{plan.healthy}, region by region, in the truth, at the standard and low dose and after each "
        "method.",
        figures=() if figure is None else (
            ShownFigure(
                file=figure,
                alt="Hedges' g between cohorts with its interval, a panel for each region and a row "
                "for each kind of image, beside the standard dose.",
                caption="Effects between cohorts by kind of image; the dashed line is that at the "
                "standard dose.",
            ),
        ),
        sections=tuple(
            _diseased(diseased, [row for row in effects if row.diseased == diseased], bias, plan)
            for diseased in plan.diseased
        ),
    )  # fmt: skip


def _diseased(
    diseased: str, effects: Sequence[EffectRow], bias: Sequence[BiasRow], plan: CohortPlan
) -> Section:
    settings = [
        (setting, list(members)) for setting, members in groupby(effects, key=lambda row: row.setting)
    ]
    warnings = [text for _, members in settings for text in _lost(members)]
    return Section(
        id=f"cohorts-{anchor(diseased)}",
        title=f"{diseased} against {plan.healthy}",
        summary=" ".join(
            f"Setting `{setting}`: {' '.join(_sentences(members))}" for setting, members in settings
        ),
        warnings=tuple(warnings),
        notes=tuple(_legend(effects, plan)),
        tables=tuple(
            table
            for setting, members in settings
            for table in _tables(setting, members, bias, (plan.healthy, diseased))
        ),
    )


def _tables(
    setting: str, effects: Sequence[EffectRow], bias: Sequence[BiasRow], cohorts: Sequence[str]
) -> Iterator[Table]:
    yield _effect_grid(setting, effects)
    for cohort in cohorts:
        for quantity in (ACTIVITY, RATIO):
            rows = [
                row
                for row in bias
                if (row.cohort, row.setting, row.quantity) == (cohort, setting, quantity)
            ]
            if rows:
                yield _bias_grid(f"{cohort}, setting `{setting}`", quantity, rows)


def _legend(rows: Sequence[EffectRow], plan: CohortPlan) -> list[str]:
    percent = f"{100 * plan.confidence:g} %"
    lines = [
        "A region's activity: mean over its pixels in all test slices of a subject. Its ratio: over "
        f"that of `{plan.reference}` in the same image. Trainings are averaged first; n are subjects.",
        f"Effect: Hedges' g [{percent} interval of the population's d] of the ratio, diseased against "
        "healthy; negative where the diseased have less. In brackets what is kept of the effect at the "
        "standard dose, d in % of d. The interval is exact for normal groups that spread alike; where "
        "one of two groups of equal size spreads three times as much as the other, a 95 % interval "
        "covers 89 to 93 %, and 75 % where 3 subjects spread so beside 10 others.",
        "Behind it the difference of the means itself, in % of the healthy. d divides by the spread "
        "between subjects: a method that shrinks differences and spread alike keeps it, and still takes "
        "what a reader sees.",
        f"{MARKS[SMALLER]} smaller, {MARKS[LARGER]} larger than at the standard dose in the same "
        f"subjects, {MARKS[REVERSED]} shown with the other sign. Of g: the "
        f"{percent} interval of the change of d leaves 0 out, or the intervals of both d do "
        f"not overlap. Of the difference: the {percent} interval of how much more the image errs in the "
        "diseased than in the healthy leaves 0 out. No mark: no change shown, which does "
        f"not show that there is none. {MARKS[NO_EFFECT]}: the standard dose shows no effect there, so "
        f"none can be lost: the {percent} interval of d, or Welch's of the difference of the mean "
        "ratios, holds 0. Each region and method is tested by itself, without a correction for their "
        "number.",
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
    return lines


def _sentences(rows: Sequence[EffectRow]) -> Iterator[str]:
    """How many subjects there are, and what that allows to be said."""
    counts = sorted({(row.n_healthy, row.n_diseased) for row in rows})
    words = " or ".join(f"{healthy} healthy and {diseased} diseased" for healthy, diseased in counts)
    yield f"{words} test subjects."
    if small := [row.region for row in rows if row.image == STANDARD and row.verdict == UNTESTED]:
        yield (
            f"**Fewer than {LEAST_SUBJECTS} subjects in a group: whether a method keeps the effect can "
            f"not be said ({', '.join(small)}).**"
        )
    restored = [row for row in rows if row.image == RESTORED]
    if none := [row.region for row in rows if row.image == STANDARD and row.verdict == NO_EFFECT]:
        yield (
            "No effect is shown at the standard dose, so that none can be seen to be kept or lost: "
            f"{', '.join(none)}."
        )
    if reaches := [
        hedges_factor(_freedom(row)) * (row.change_high - row.change)
        for row in restored
        if row.change is not None and row.change_high is not None
    ]:
        yield (
            f"Intervals of what methods change in g reach {min(reaches):.1f} to {max(reaches):.1f} to "
            f"either side, the median {np.median(reaches):.1f}: smaller changes can not be told."
        )


def _lost(rows: Sequence[EffectRow]) -> Iterator[str]:
    """A warning for each method that shrinks or reverses an effect."""
    restored = [row for row in rows if row.image == RESTORED]
    usual = {row.region: row.difference_percent for row in rows if row.image == STANDARD}
    for name, group in groupby(restored, key=name_of):
        members = list(group)
        if lost := [row for row in members if SMALLER in (row.verdict, row.difference_verdict)]:
            losses = "; ".join(_loss(row, usual[row.region]) for row in lost)
            yield f"{name} shrinks the difference between the cohorts: {losses}."
        if turned := [row for row in members if row.verdict == REVERSED]:
            ways = "; ".join(f"{row.region}, {_left(row, usual[row.region])}" for row in turned)
            yield f"{name} reverses the difference between the cohorts: {ways}."


def _left(row: EffectRow, usual_percent: float | None) -> str:
    """The difference of one region beside that of the standard dose."""
    left, usual = (
        "-" if each is None else f"{_signed(each)} %" for each in (row.difference_percent, usual_percent)
    )
    return f"{left} in place of {usual}"


def _loss(row: EffectRow, usual_percent: float | None) -> str:
    """What is left in one region."""
    kept = "" if row.share_percent is None else f", {row.share_percent:.0f} % of g"
    what = [
        word
        for word, verdict in (("difference", row.difference_verdict), ("g", row.verdict))
        if verdict == SMALLER
    ]
    return f"{row.region} ({' and '.join(what)}), {_left(row, usual_percent)}{kept}"


def _freedom(row: EffectRow) -> int:
    return row.n_healthy + row.n_diseased - 2


def name_of(row: EffectRow | BiasRow) -> str:
    """A kind of image as rows call it."""
    if row.image != RESTORED:
        return f"{row.image} dose" if row.image != TRUTH else row.image
    learned = "" if row.learning == "-" else f", {row.learning}"
    single = "" if row.estimate == "single" else f", {row.estimate}"
    return f"`{row.method}`{learned}{single}"


def _effect_grid(setting: str, rows: Sequence[EffectRow]) -> Table:
    """Kinds of images down, regions across."""
    regions = list(dict.fromkeys(row.region for row in rows))
    return Table(
        caption=f"Effect (Hedges' g), diseased against healthy, setting `{setting}`",
        columns=(
            Column(key="image", label="Image"),
            *(Column(key=region, label=region.replace("_", " ")) for region in regions),
        ),
        rows=tuple(
            {"image": name, **{row.region: _effect_cell(row) for row in members}}
            for name, members in groupby(rows, key=name_of)
        ),
    )


def _effect_cell(row: EffectRow) -> str:
    if row.hedges_g is None:
        return f"{row.verdict or UNTESTED}{_difference(row)}"
    text = _number(row.hedges_g)
    if row.ci_low is None:
        return f"{text} ({UNTESTED}){_difference(row)}"
    text += f" [{_number(row.ci_low)}, {_number(row.ci_high)}]"
    if row.share_percent is not None and row.image != STANDARD:
        text += f" ({row.share_percent:.0f} %)"
    return f"{f'{text} {MARKS[row.verdict]}'.rstrip()}{_difference(row)}"


def _difference(row: EffectRow) -> str:
    if row.difference_percent is None:
        return ""
    mark = MARKS[row.difference_verdict] if row.difference_verdict != NO_EFFECT else ""
    return f"; {_signed(row.difference_percent)} % {mark}".rstrip()


def _bias_grid(place: str, quantity: str, rows: Sequence[BiasRow]) -> Table:
    """Kinds of images down, regions across; against the standard dose, then against the truth."""
    regions = list(dict.fromkeys(row.region for row in rows))
    known = {STANDARD: "standard dose", TRUTH: "truth"}
    against = [each for each in known if any(row.against == each for row in rows)]
    lines: list[dict[str, Cell]] = []
    for name, members in groupby(rows, key=name_of):
        cells = {(row.region, row.against): _bias_cell(row) for row in members}
        shown: dict[str, Cell] = {
            region: " / ".join(cells.get((region, each), "-") for each in against) for region in regions
        }
        lines.append({"image": name, **shown})
    return Table(
        caption=f"Bias of the {quantity}, {place} (%), against "
        f"{' / '.join(known[each] for each in against)}",
        columns=(
            Column(key="image", label="Image"),
            *(Column(key=region, label=region.replace("_", " ")) for region in regions),
        ),
        rows=tuple(lines),
    )


def _bias_cell(row: BiasRow) -> str:
    if row.loa_low is None or row.loa_high is None:
        return f"{_signed(row.mean_percent)} (n = {row.n_subjects}, {UNTESTED})"
    return f"{_signed(row.mean_percent)} [{_signed(row.loa_low)}, {_signed(row.loa_high)}]"


def _signed(value: float) -> str:
    return f"{round(value, 1) + 0.0:+.1f}"


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.2f}"
