"""What a wrong T1 costs each method, as a page to read."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby

from quietpet.config.robustness import NONE, OWN, T1_CONDITIONS
from quietpet.data_source import is_standin
from quietpet.evaluation.comparison import QUANTITATIVE
from quietpet.evaluation.metrics import METRICS
from quietpet.evaluation.robustness import BETTER, RobustnessRow
from quietpet.files.text import markdown_row

HEADING = "## Robustness: a wrong T1"

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
    "‡: no better than the best method that never looks at T1, which is named above the grid.",
    "-: the method never looks at T1, or cannot do without.",
)


def render_robustness(rows: Sequence[RobustnessRow]) -> str:
    """The table as Markdown, without a heading of the first level."""
    blocks = [HEADING, "\n".join(f"- {line}" for line in _LEGEND)]
    shown = [row for row in rows if row.variant == QUANTITATIVE.name]
    for (dataset, setting), members in groupby(shown, key=lambda row: (row.dataset, row.setting)):
        of_setting = list(members)
        first = of_setting[0]
        simulated = " (simulated scans)" if is_standin(first.data_source) else ""
        blocks.append(
            f"### T1 of {dataset}{simulated}, setting `{setting}`\n\n"
            f"{first.n_subjects} test subject(s), {first.n_slices} slices."
        )
        blocks += [
            _grid(metric, [row for row in of_setting if row.metric == metric]) for metric in _SHOWN
        ]
    return "\n\n".join(blocks)


def _grid(metric: str, rows: Sequence[RobustnessRow]) -> str:
    """Methods (and how they learned, and estimates) down, conditions across."""
    found = {row.t1 for row in rows}
    conditions = [each for each in T1_CONDITIONS if each in found]
    header = ["method", "learning", "estimate", "gain", *(_WORDS[each] for each in conditions)]
    lines = [
        f"{_SHOWN[metric].label}; best without T1: `{rows[0].best_without_t1}`\n",
        markdown_row(header),
        markdown_row(["---"] * len(header)),
    ]
    for names, members in groupby(rows, key=lambda row: (row.method, row.learning, row.estimate)):
        by_t1 = {row.t1: row for row in members}
        gain = f"{by_t1[OWN].gain:z.{_SHOWN[metric].digits}f}"
        marks = {
            t1: " ‡" if row.no_better_than_without_t1 and len(by_t1) > 1 else ""
            for t1, row in by_t1.items()
        }
        cells = [_cell(by_t1[each]) + marks[each] if each in by_t1 else "-" for each in conditions]
        lines.append(markdown_row([*names, gain, *cells]))
    return "\n".join(lines)


def _cell(row: RobustnessRow) -> str:
    digits = _SHOWN[row.metric].digits
    text = f"{row.mean:z.{digits}f}"
    if row.difference is not None:
        change = f"{row.difference:+.{digits}f}"
        if row.difference_ci_low is not None:
            change += f" [{row.difference_ci_low:+.{digits}f}, {row.difference_ci_high:+.{digits}f}]"
        if row.gain_lost_percent is not None:
            change += f"; {row.gain_lost_percent:.0f} %"
        text += f" ({change})"
    return text
