"""Errors against the truth, as the report shows them."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from itertools import groupby

from quietpet.evaluation.comparison import TRUTH
from quietpet.evaluation.metrics import METRICS
from quietpet.evaluation.scoring import STANDARD
from quietpet.evaluation.truth import TruthRow
from quietpet.files.sections import Cell, Column, Section, Table

NOTES = (
    "The truth is the activity of the phantom's slice as it is stored: on the pixels of the images, in "
    "their unit, without the resolution of a scanner. A tissue is where the labels say so, without PET "
    "lesions.",
    "The first row is the standard dose itself, with which all other tables compare. It is an estimate, "
    "too: its resolution takes activity from grey matter to white (partial volume), and it has noise. A "
    "method that restores it perfectly has the errors of that row.",
    "Contrast recovered: grey over white matter, minus 1, relative to that of the truth. 100 % is the "
    "truth; less is blurred, whatever its noise.",
    "A method may be nearer to the truth than the standard dose in NMSE because it has less noise, and "
    "yet recover less contrast: read both.",
    "Each cell: mean ± standard deviation over test slices [interval over subjects of the mean of their "
    "means]. `truth.csv` also has what each method has above the standard dose, with its interval.",
)

RECOVERY = "grey_to_white_recovery_percent"

_METRICS = tuple(metric for metric in METRICS if metric.variant is TRUTH)


def truth_section(rows: Sequence[TruthRow], *, low_dose: Sequence[str] = ()) -> Section:
    """The rows of ``truth.csv``, a table for each setting of a data set.

    ``low_dose`` are methods that are the low-dose image itself: they restore nothing.
    """
    settings = [list(members) for _, members in groupby(rows, key=_place)]
    return Section(
        id="truth",
        title="Against the truth",
        summary=" ".join(_summary(members, low_dose) for members in settings),
        notes=NOTES,
        tables=tuple(map(_table, settings)),
    )


def _place(row: TruthRow) -> tuple[str, str]:
    return row.dataset, row.setting


def _summary(rows: Sequence[TruthRow], low_dose: Sequence[str]) -> str:
    """What the standard dose has, and who is nearer to the truth in single restorations."""
    of_standard = {row.metric: row.mean for row in rows if row.method == STANDARD}
    own = f"an NMSE of {of_standard['nmse']:.3f} to the truth"
    recovered = of_standard.get(RECOVERY)
    if recovered is not None:
        own += f", and {recovered:.0f} % of the contrast of grey to white matter"
    first = f"{'/'.join(_place(rows[0]))}: the standard dose itself has {own}"
    single = [row for row in rows if row.metric == "nmse" and row.estimate == "single"]
    untreated = [row for row in single if row.method in low_dose]
    if untreated:
        first += f"; the low dose, untreated, has an NMSE of {untreated[0].mean:.3f}"
    methods = [row for row in single if row.method not in (STANDARD, *low_dose)]
    if not methods:
        return f"{first}."
    nearer = [row for row in methods if row.mean < of_standard["nmse"]]
    best = min(methods, key=lambda row: row.mean)
    least = f"`{best.method}`{_learned(best)}, {best.mean:.3f}"
    what = "less NMSE on average than the standard dose"
    if len(methods) == 1:
        return f"{first}. The one restoration has {'' if nearer else 'not '}{what}: {least}."
    return (
        f"{first}. Of {len(methods)} restorations {len(nearer) or 'none'} "
        f"{'has' if len(nearer) < 2 else 'have'} {what}; the least has {least}."
    )


def _learned(row: TruthRow) -> str:
    return "" if row.learning == "-" else f" ({row.learning})"


def _table(rows: Sequence[TruthRow]) -> Table:
    found = {row.metric for row in rows}
    metrics = [metric for metric in _METRICS if metric.name in found]
    columns = (
        Column(key="method", label="method"),
        Column(key="learning", label="learning"),
        Column(key="estimate", label="estimate"),
        *(
            Column(
                key=metric.name,
                label=metric.label,
                digits=metric.digits,
                spread=f"{metric.name}_std",
                low=f"{metric.name}_low",
                high=f"{metric.name}_high",
            )
            for metric in metrics
        ),
        Column(key="subjects", label="subjects"),
        Column(key="slices", label="slices"),
        Column(key="trainings", label="trainings"),
    )
    dataset, setting = _place(rows[0])
    of_runs = groupby(rows, key=lambda row: (row.method, row.learning, row.estimate))
    return Table(
        caption=f"{dataset}, setting {setting}",
        columns=columns,
        rows=tuple(_shown(list(members)) for _, members in of_runs),
    )


def _shown(rows: Sequence[TruthRow]) -> dict[str, Cell]:
    """The metrics of one method in one line."""
    first = rows[0]
    return {
        "method": first.method,
        "learning": first.learning,
        "estimate": first.estimate,
        **{key: value for row in rows for key, value in _cells(row)},
        "subjects": first.n_subjects,
        "slices": first.n_slices,
        "trainings": first.n_replicates,
    }


def _cells(row: TruthRow) -> Iterator[tuple[str, Cell]]:
    """A mean that is infinite, of images that are the truth, is a word."""
    yield row.metric, row.mean if math.isfinite(row.mean) else "inf"
    yield f"{row.metric}_std", row.std
    yield f"{row.metric}_low", row.ci_low
    yield f"{row.metric}_high", row.ci_high
