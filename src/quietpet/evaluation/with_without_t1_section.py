"""What T1 buys, as a section of the report."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from itertools import groupby

from quietpet.evaluation.comparison import QUANTITATIVE
from quietpet.evaluation.metrics import metric_of
from quietpet.evaluation.table_grids import SHOWN_VARIANTS
from quietpet.evaluation.with_without_t1 import COMPARED, T1Row
from quietpet.files.sections import Cell, Column, Section, Table, cell


def t1_section(rows: Sequence[T1Row], *, rates_chosen: bool = False) -> Section | None:
    """The settings with a pair as a section of the report; None without any.

    ``rates_chosen``: whether trials chose the learning rate of each training.
    """
    paired = {(row.dataset, row.setting) for row in rows if row.difference is not None}
    rows = [row for row in rows if (row.dataset, row.setting) in paired]
    if not rows:
        return None
    rates = ", but for the learning rate, which trials choose for each" if rates_chosen else ""
    return Section(
        id="with-without-t1",
        title="With and without T1",
        summary=" ".join(_most_gained(members) for members in _of_settings(rows)),
        notes=(
            "Each method that uses T1, and its variant without: equal in all but the inputs, data and "
            f"budget the same{rates}. Only test slices that have a T1 count.",
            "Difference: with minus without, mean over slices [t interval over subjects of the paired "
            "difference]. It is called better or worse where that is shown over subjects, and over "
            "subjects and trainings, both after Holm's correction for the pairs of a setting; "
            "`with_without_t1.csv` says why not where it is not.",
            "Methods without a variant stand here with the reason.",
        ),
        tables=tuple(
            _grid(members) for of_setting in _of_settings(rows) for members in _of_variants(of_setting)
        ),
    )


def _of_settings(rows: Sequence[T1Row]) -> Iterator[list[T1Row]]:
    for _, members in groupby(rows, key=lambda row: (row.dataset, row.setting)):
        yield list(members)


def _of_variants(rows: Sequence[T1Row]) -> Iterator[list[T1Row]]:
    """The rows of each variant, in the order in which the tables show them."""
    for variant in SHOWN_VARIANTS:
        if members := [row for row in rows if row.variant == variant.name]:
            yield members


def _most_gained(rows: Sequence[T1Row]) -> str:
    """The method that T1 helps most in one setting, by PSNR in common units; or that none gains."""
    compared = [
        row
        for row in rows
        if (row.metric, row.variant, row.estimate) == ("psnr_db", QUANTITATIVE.name, "single")
        and math.isfinite(row.difference if row.difference is not None else math.nan)
    ]
    variant = f"variant `{QUANTITATIVE.name}`"
    place = f"{rows[0].dataset}, `{rows[0].setting}`"
    if not compared:
        return f"{place}: no pair in the {variant}."
    most = max(compared, key=lambda row: row.difference or 0.0)
    named = f"`{most.method}`" + (f" ({most.learning})" if most.learning != "-" else "")
    found = f"{most.difference or 0.0:+z.3f} dB"
    if most.verdict:
        found += f", {most.verdict}"
    if (most.difference or 0.0) <= 0:
        return f"{place}: no method gains PSNR by its T1 in the {variant}; {named} loses least, {found}."
    return f"{place}: most PSNR gains {named} by its T1 in the {variant}, {found}."


def _grid(rows: Sequence[T1Row]) -> Table:
    """Methods down, metrics across: with T1, without, difference."""
    first = rows[0]
    columns = [
        Column(key="method", label="Method"),
        Column(key="without", label="Without"),
        Column(key="learning", label="Learning"),
        Column(key="estimate", label="Estimate"),
    ]
    for name in COMPARED:
        metric = metric_of(name, first.variant)
        digits = metric.digits
        columns += [
            Column(key=f"{name}_with", label=f"{metric.label} with T1", digits=digits),
            Column(key=f"{name}_without", label=f"{metric.label} without", digits=digits),
            Column(
                key=f"{name}_gain",
                label=f"{metric.label}, difference",
                digits=digits,
                signed=True,
                low=f"{name}_low",
                high=f"{name}_high",
                mark=f"{name}_verdict",
            ),
        ]
    return Table(
        caption=f"{first.dataset}, setting `{first.setting}`",
        columns=tuple(columns),
        rows=tuple(_cells(list(members)) for _, members in groupby(rows, key=_compared_pair)),
        variant=first.variant,
    )


def _compared_pair(row: T1Row) -> tuple[str | None, ...]:
    return row.method, row.method_without, row.learning, row.estimate


def _cells(rows: Sequence[T1Row]) -> dict[str, Cell]:
    first = rows[0]
    named = f"{first.method_without}: {first.without}" if first.method_without else first.without
    cells: dict[str, Cell] = {
        "method": first.method, "without": named, "learning": first.learning, "estimate": first.estimate,
    }  # fmt: skip
    for row in rows:
        cells |= {
            f"{row.metric}_with": cell(row.mean_with_t1),
            f"{row.metric}_without": cell(row.mean_without_t1),
            f"{row.metric}_gain": cell(row.difference),
            f"{row.metric}_low": cell(row.difference_ci_low),
            f"{row.metric}_high": cell(row.difference_ci_high),
            f"{row.metric}_verdict": row.verdict or None,
        }
    return cells
