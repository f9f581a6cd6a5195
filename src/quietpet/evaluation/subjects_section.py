"""What the report shows of whole subjects: leakage from T1, lost lesions, brain outliers."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby

from quietpet.evaluation.scoring import STANDARD
from quietpet.evaluation.subjects_table import SubjectsRow, by_measure
from quietpet.evaluation.whole_subjects import AGAINST_STANDARD, AGAINST_TRUTH
from quietpet.files.sections import Cell, Column, Section, Table

_KINDS = {"hot": "bright", "cold": "dark", "all": "all"}

LEAKAGE = {
    **{
        f"t1_only_{kind}_{name}": (f"{word}: {label}", unit)
        for kind, word in _KINDS.items()
        for name, (label, unit) in {
            "mean_percent": ("mean gain", "%"),
            "rms_percent": ("RMS", "%"),
            "rms_ratio": ("RMS / input's", ""),
            "excess_percent": ("beyond the input", "%"),
        }.items()
        if (kind, name) != ("all", "mean_percent")
    }
}
LOSS = {
    **{f"pet_only_{kind}_loss_percent": (f"{kind}: lost", "%") for kind in _KINDS},
    "pet_only_all_input_loss_percent": ("all: lost in the input", "%"),
}
BRAIN = {
    "brain_outlier_score": ("brain outlier score", ""),
    "brain_share_within_5_percent": ("share within 5 %", ""),
    "brain_share_within_10_percent": ("within 10 %", ""),
    "brain_share_within_15_percent": ("within 15 %", ""),
    "region_bias_percent": ("region bias", "%"),
}


Methods = dict[tuple[str, str], dict[str, SubjectsRow]]
"""Rows by measure, of each method and learning."""


def subjects_section(rows: Sequence[SubjectsRow], *, confidence: float) -> Section:
    """From all rows of the table; lesions against the truth where it is known."""
    groups = [*_groups(rows)]
    known = {group.name for group in groups if group.against == AGAINST_TRUTH}
    lesions = [group for group in groups if group.against == AGAINST_TRUTH or group.name not in known]
    interval = (
        f"Values are means over test subjects, of ratios geometric means, with intervals of "
        f"{confidence:.0%} where there are two or more: Student's, of ratios and of numbers that are "
        "never below 0 on a logarithmic scale, of shares cut at 0 and 1. Of few subjects "
        "`subjects.csv` has the value of each."
    )
    return Section(
        id="subjects",
        title="Whole subjects: leakage from T1, lost lesions, brain outliers",
        part="Lesions and brain",
        summary=" ".join(map(_summary, lesions)),
        notes=(interval, *_NOTES),
        tables=tuple(
            table
            for caption, columns, chosen in (
                ("T1-only lesions: what PET gained there", LEAKAGE, lesions),
                ("PET-only lesions: contrast that was lost", LOSS, lesions),
                ("Brain: outliers and region bias", BRAIN, groups),
            )
            for group in chosen
            if (table := _table(caption, group, columns)).rows
        ),
    )


@dataclass(frozen=True, kw_only=True)
class _Compared:
    """The methods of a data set, compared with the standard dose or with the truth."""

    name: str
    against: str
    methods: Methods

    @property
    def words(self) -> str:
        """What they are compared with."""
        return "the truth" if self.against == AGAINST_TRUTH else "the standard dose"


def _groups(rows: Sequence[SubjectsRow]) -> Iterator[_Compared]:
    for (dataset, setting), members in groupby(rows, key=lambda row: (row.dataset, row.setting)):
        found = [*members]
        for against in (AGAINST_TRUTH, AGAINST_STANDARD):
            if methods := by_measure(found, against=against):
                yield _Compared(name=f"{dataset}/{setting}", against=against, methods=methods)


_NOTES = (
    "Lesions are measured against the truth where it is known, the activity of the phantom as it is "
    "stored: the truth itself has 0 everywhere. There the first row is the standard dose, which has "
    "noise and blurs edges: an image that restores it perfectly has the values of that row. Of scans "
    "nothing but the standard dose is there to compare with. A low dose that was thinned from it shares "
    "its noise, so that a perfect image may have a ratio above 1 and lose contrast: without the "
    "truth, a ratio of 1 is no reference point.",
    "T1-only lesions: PET contrast that the reference has not, relative to the uptake around, "
    "in lesions that T1 alone has, bright and dark apart. The RMS lets nothing cancel, noise "
    "neither; so it stands beside that of the input, the low dose, in the same lesions: as a ratio, "
    "and as the root of the difference of the squares, below 0 where there is less than in the "
    "input. The low dose itself has the ratio 1 and 0 beyond it. A ratio below 1 does not clear a "
    "method: it copied less than it took off noise.",
    "PET-only lesions: 0 % lost is the contrast of the reference, 100 % is none, below 0 is more of it.",
    "Brain outlier score (1 is best) and region bias are brain outlier score and organ bias as the "
    "BIC-MAC challenge defines them (evaluation code, "
    "github.com/bic-mac-challenge/challenge-codebase): the mean share of brain pixels within 5, 10 "
    "and 15 % of the reference, and the mean over regions of the absolute relative error of their "
    "mean. Here the reference is the standard dose, and in a table of its own the truth where it is "
    "known, in the slices that were restored; the brain is grey matter, white matter and CSF, and the "
    "regions are these, or those that a data set numbers. The challenge's own values, of attenuation "
    "correction and eight organs of the body, are not comparable.",
)


def _summary(group: _Compared) -> str:
    found = {
        key: row
        for key, measures in group.methods.items()
        if (row := measures.get("t1_only_all_rms_ratio"))
    }
    ratios = {key: row for key, row in found.items() if key[0] != STANDARD}
    if not ratios:
        return f"`{group.name}` has no lesions that T1 alone shows, or no noise in them."
    above = [key for key, row in ratios.items() if row.mean > 1]
    shown = [key for key in above if (low := ratios[key].ci_low) is not None and low > 1]
    of_standard = next((row.mean for key, row in found.items() if key not in ratios), None)
    itself = "" if of_standard is None else f" The standard dose itself has {of_standard:.2f} times."
    thinned = " Without the truth, 1 is no reference point." if group.against != AGAINST_TRUTH else ""
    first = f"`{group.name}`: in T1-only lesions"
    if not above:
        return (
            f"{first} none of {len(ratios)} restorations is further from {group.words} than the "
            f"low dose.{itself}{thinned}"
        )
    worst = max(ratios, key=lambda key: ratios[key].mean)
    return (
        f"{first} {len(above)} of {len(ratios)} restorations are further from {group.words} than the "
        f"low dose, {len(shown)} of them with an interval over subjects that says so, furthest "
        f"{_called(worst, group.methods)} ({ratios[worst].mean:.2f} times).{itself}{thinned}"
    )


def _called(key: tuple[str, str], methods: Iterable[tuple[str, str]]) -> str:
    method, learning = key
    once = sum(name == method for name, _ in methods) == 1
    return f"`{method}`" if once else f"`{method}` ({learning})"


def _table(caption: str, group: _Compared, columns: dict[str, tuple[str, str]]) -> Table:
    shown = [each for each in columns if any(each in measures for measures in group.methods.values())]
    rows: list[dict[str, Cell]] = []
    for (method, learning), measures in group.methods.items():
        row: dict[str, Cell] = {"method": method, "learning": learning}
        for each in shown:
            if found := measures.get(each):
                row |= {each: found.mean, f"{each}_low": found.ci_low, f"{each}_high": found.ci_high}
        rows.append(row)
    return Table(
        caption=caption,
        variant=f"{group.name}, against {group.words}",
        columns=(
            Column(key="method", label="method"),
            Column(key="learning", label="learning"),
            *(
                Column(
                    key=each,
                    label=columns[each][0],
                    unit=columns[each][1],
                    digits=3 if each.startswith("brain") else 2 if each.endswith("ratio") else 1,
                    low=f"{each}_low",
                    high=f"{each}_high",
                )
                for each in shown
            ),
        ),
        rows=tuple(rows) if shown else (),
    )
