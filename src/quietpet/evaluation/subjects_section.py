"""What the report shows of whole subjects: leakage from T1, lost lesions, brain outliers."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import groupby

from quietpet.evaluation.subjects_table import SubjectsRow, by_measure
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
    "brain_within_5_percent": ("share within 5 %", ""),
    "brain_within_10_percent": ("within 10 %", ""),
    "brain_within_15_percent": ("within 15 %", ""),
    "region_bias_percent": ("region bias", "%"),
}


def subjects_section(rows: Sequence[SubjectsRow], *, confidence: float) -> Section:
    """From all rows of the table."""
    groups = {
        f"{dataset}/{setting}": by_measure([*members])
        for (dataset, setting), members in groupby(rows, key=lambda row: (row.dataset, row.setting))
    }
    interval = (
        f"Values are means over test subjects, with Student's interval of {confidence:.0%} where there "
        "are two or more. Of few subjects `subjects.csv` has the value of each."
    )
    return Section(
        id="subjects",
        title="Whole subjects: leakage from T1, lost lesions, brain outliers",
        part="Lesions and brain",
        summary=" ".join(_summary(name, methods) for name, methods in groups.items()),
        notes=(interval, *_NOTES),
        tables=tuple(
            table
            for caption, columns in (
                ("T1-only lesions: what PET gained there", LEAKAGE),
                ("PET-only lesions: contrast that was lost", LOSS),
                ("Brain: outliers and region bias", BRAIN),
            )
            for name, methods in groups.items()
            if (table := _table(caption, name, methods, columns)).rows
        ),
    )


_NOTES = (
    "T1-only lesions: PET contrast that the standard dose has not, relative to the uptake around, "
    "in lesions that T1 alone has, bright and dark apart. The RMS lets nothing cancel, noise "
    "neither; so it stands beside that of the input, the low dose, in the same lesions: as a ratio, "
    "and as the root of the difference of the squares, below 0 where there is less than in the "
    "input. The low dose itself has the ratio 1 and 0 beyond it. A ratio below 1 does not clear a "
    "method: it copied less than it took off noise.",
    "PET-only lesions: 0 % lost is the contrast of the standard dose, 100 % is none, below 0 is "
    "more of it.",
    "Brain outlier score (1 is best) and region bias are brain outlier score and organ bias as the "
    "BIC-MAC challenge defines them (evaluation code, "
    "github.com/bic-mac-challenge/challenge-codebase): the mean share of brain pixels within 5, 10 "
    "and 15 % of the reference, and the mean over regions of the absolute relative error of their "
    "mean. Here the reference is the standard dose, in the slices that were restored; the brain is "
    "grey matter, white matter and CSF, and the regions are these, or those that a data set "
    "numbers. The challenge's own values, of attenuation correction and eight organs of the body, "
    "are not comparable.",
)


def _summary(name: str, methods: dict[tuple[str, str], dict[str, SubjectsRow]]) -> str:
    ratios = {
        key: found
        for key, measures in methods.items()
        if (found := measures.get("t1_only_all_rms_ratio"))
    }
    if not ratios:
        return f"`{name}` has no lesions that T1 alone shows, or no noise in them."
    above = [key for key, row in ratios.items() if row.mean > 1]
    shown = [key for key in above if (low := ratios[key].ci_low) is not None and low > 1]
    if not above:
        return (
            f"`{name}`: in T1-only lesions none of {len(ratios)} restorations gains more than the noise "
            "of the input."
        )
    worst = max(ratios, key=lambda key: ratios[key].mean)
    return (
        f"`{name}`: in T1-only lesions {len(above)} of {len(ratios)} restorations gain more than the "
        f"noise of the input, {len(shown)} of them with an interval over subjects that says so, most of "
        f"all {_called(worst, methods)} ({ratios[worst].mean:.2f} times)."
    )


def _called(key: tuple[str, str], methods: Iterable[tuple[str, str]]) -> str:
    method, learning = key
    once = sum(name == method for name, _ in methods) == 1
    return f"`{method}`" if once else f"`{method}` ({learning})"


def _table(
    caption: str,
    name: str,
    methods: dict[tuple[str, str], dict[str, SubjectsRow]],
    columns: dict[str, tuple[str, str]],
) -> Table:
    shown = [each for each in columns if any(each in measures for measures in methods.values())]
    rows: list[dict[str, Cell]] = []
    for (method, learning), measures in methods.items():
        row: dict[str, Cell] = {"method": method, "learning": learning}
        for each in shown:
            if found := measures.get(each):
                row |= {each: found.mean, f"{each}_low": found.ci_low, f"{each}_high": found.ci_high}
        rows.append(row)
    return Table(
        caption=caption,
        variant=name,
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
