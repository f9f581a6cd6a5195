"""What a wrong T1 costs each method, as a section of the report."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby

from quietpet.config.robustness import NONE, OWN, T1_CONDITIONS
from quietpet.data_source import is_standin
from quietpet.evaluation.comparison import QUANTITATIVE
from quietpet.evaluation.metrics import METRICS
from quietpet.evaluation.robustness import BETTER, RobustnessRow
from quietpet.files.sections import Cell, Column, Section, ShownFigure, Table, cell

_SHOWN = {
    metric.name: metric for metric in METRICS if metric.variant == QUANTITATIVE and metric.name in BETTER
}

_WORDS = {
    OWN: "own T1",
    NONE: "no T1",
    "shift_2mm": "shifted by 2 mm",
    "shift_4mm": "shifted by 4 mm",
    "rotate_3deg": "rotated by 3°",
    "other_subject": "other subject's",
}

_LEGEND = (
    "The same test slices, restored by the same weights with the same noise, but with another T1: "
    "moved in the plane by 2 or 4 mm, in a direction drawn for each slice; turned by 3 degrees about "
    "the centre of the image, to the side drawn for each slice; that of the next test subject (same "
    "slice, turned to the angle of this one, not registered to the PET anew); or none. Moved and turned "
    "T1 is interpolated linearly, so that it is somewhat blurred, too.",
    f"`{QUANTITATIVE.name}`, mean over test slices, first training. In brackets: difference to the "
    "subject's own T1, mean over slices with its interval over subjects as above; then the part of the "
    "gain that is lost, if anything was gained. Gain: how much better than the low-dose image itself, "
    "with the own T1. What a wrong T1 takes of it was trusted blindly: the method did not see in the "
    "PET that T1 was wrong.",
    "‡: no better than the best method that never looks at T1, which is named above the table.",
    "-: the method never looks at T1, or cannot do without.",
)


def robustness_section(rows: Sequence[RobustnessRow], *, figure: str | None = None) -> Section:
    """The table, a grid for each metric of each setting; ``figure`` is the name of a file."""
    shown = [row for row in rows if row.variant == QUANTITATIVE.name]
    places = [list(members) for _, members in groupby(shown, key=lambda row: (row.dataset, row.setting))]
    return Section(
        id="robustness",
        title="Robustness: a wrong T1",
        summary=" ".join(_costliest(members) for members in places),
        notes=_LEGEND,
        figures=() if figure is None else (
            ShownFigure(
                file=figure,
                alt="PSNR, SSIM and NMSE of every method with each T1 that it was given, and the best "
                "of a method that never looks at T1.",
                caption="Every method with the subject's own T1 and with wrong ones; bars are "
                "intervals of the difference to the own T1, the dashed line the best method that never "
                "looks at T1.",
            ),
        ),
        tables=tuple(
            _grid(metric, [row for row in of_setting if row.metric == metric])
            for of_setting in places
            for metric in _SHOWN
        ),
    )  # fmt: skip


def _costliest(rows: Sequence[RobustnessRow]) -> str:
    """Which method loses most of its gain in PSNR, and to which T1."""
    first = rows[0]
    lost = [
        row for row in rows
        if row.metric == "psnr_db" and row.estimate == "single" and row.gain_lost_percent is not None
        and row.t1 != OWN
    ]  # fmt: skip
    place = f"{_place(first)}: {first.n_slices} slices of {first.n_subjects} test subject(s)."
    if not lost:
        return place
    most = max(lost, key=lambda row: row.gain_lost_percent or 0.0)
    return (
        f"{place} Most of its gain in PSNR loses `{most.method}`, {most.gain_lost_percent:.0f} %, "
        f"where T1 is {_WORDS[most.t1]}."
    )


def _place(row: RobustnessRow) -> str:
    simulated = " (simulated scans)" if is_standin(row.data_source) else ""
    return f"T1 of {row.dataset}{simulated}, setting `{row.setting}`"


def _grid(metric: str, rows: Sequence[RobustnessRow]) -> Table:
    """Methods (and how they learned, and estimates) down, conditions across."""
    found = {row.t1 for row in rows}
    conditions = [each for each in T1_CONDITIONS if each in found]
    digits = _SHOWN[metric].digits
    columns = [
        Column(key="method", label="Method"),
        Column(key="learning", label="Learning"),
        Column(key="estimate", label="Estimate"),
        Column(key="gain", label="Gain", digits=digits),
        *(
            Column(key=each, label=_WORDS[each], digits=digits, mark=f"{each}_change")
            for each in conditions
        ),
    ]
    cells = []
    for names, members in groupby(rows, key=lambda row: (row.method, row.learning, row.estimate)):
        by_t1 = {row.t1: row for row in members}
        row: dict[str, Cell] = dict(zip(("method", "learning", "estimate"), names, strict=True))
        row["gain"] = cell(by_t1[OWN].gain)
        for each in conditions:
            if each not in by_t1:
                row[each] = "-"
                continue
            row[each] = cell(by_t1[each].mean)
            worse = by_t1[each].no_better_than_without_t1 and len(by_t1) > 1
            row[f"{each}_change"] = " ".join(filter(None, (_change(by_t1[each]), "‡" if worse else "")))
        cells.append(row)
    return Table(
        caption=f"{_place(rows[0])}: {_SHOWN[metric].label}; best without T1: "
        f"`{rows[0].best_without_t1}`",
        columns=tuple(columns),
        rows=tuple(cells),
    )


def _change(row: RobustnessRow) -> str:
    """Difference to the own T1 in brackets; empty for that itself."""
    if row.difference is None:
        return ""
    digits = _SHOWN[row.metric].digits
    change = f"{row.difference:+.{digits}f}"
    if row.difference_ci_low is not None:
        change += f" [{row.difference_ci_low:+.{digits}f}, {row.difference_ci_high:+.{digits}f}]"
    if row.gain_lost_percent is not None:
        change += f"; {row.gain_lost_percent:.0f} %"
    return f"({change})"
