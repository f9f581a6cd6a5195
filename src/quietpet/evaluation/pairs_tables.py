"""Tables of paired differences, of what makes values vary, and of published values beside ours."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import groupby
from typing import Any

from quietpet.evaluation.comparison import QUANTITATIVE, VARIANTS
from quietpet.evaluation.metric import Metric
from quietpet.evaluation.metrics import metric_of
from quietpet.evaluation.pairs import SINGLE, PairRow
from quietpet.evaluation.pairs_sentences import SHOWN, families, place_of_family, result_of, several_ways
from quietpet.evaluation.rows import FEW_SUBJECTS, BySubject
from quietpet.evaluation.tables import TableRow
from quietpet.evaluation.told import simulated
from quietpet.files.sections import Cell, Column, Table


def pair_tables(pairs: Sequence[PairRow], titles: dict[str, str]) -> Iterator[Table]:
    """Of settings with more than one subject; of one there is nothing to compare but the values."""
    shown = [row for row in pairs if row.metric in SHOWN and row.n_subjects > 1]
    for table, members in groupby(shown, key=lambda row: row.table):
        of_table = list(members)
        ways = several_ways(of_table)
        for family in families(of_table):
            for variant in VARIANTS:
                if of_variant := [row for row in family if row.variant == variant.name]:
                    caption = f"Table {table}: {titles[table]}; {_caption(family[0], several_ways=ways)}"
                    yield _pair_table(caption, variant.name, of_variant)


def _caption(row: PairRow, *, several_ways: bool) -> str:
    chosen = row.compared_with
    if row.compared_estimate != SINGLE:
        chosen += f" ({row.compared_estimate})"
    return f"{place_of_family(row, several_ways=several_ways)}, minus {chosen}".replace("`", "")


def _pair_table(caption: str, variant: str, rows: Sequence[PairRow]) -> Table:
    results = [list(members) for _, members in groupby(rows, key=result_of)]
    several = len({(row.method, row.learning) for row in rows}) > len({row.method for row in rows})
    names = ("method", *(["learning"] if several else []), "estimate")
    cells = [_pair_cells(members, names) for members in results]
    columns = [Column(key=name, label=name) for name in names]
    for name in SHOWN:
        metric = metric_of(name, variant)
        columns += [
            Column(
                key=name, label=metric.label, digits=metric.digits,
                low=f"{name}_low", high=f"{name}_high", mark=f"{name}_word",
            ),
            Column(key=f"{name}_g", label=f"g, {metric.label}", digits=2),
            Column(key=f"{name}_p", label=f"p (Holm), {metric.label}", digits=4),
            Column(key=f"{name}_signed", label=f"signed-rank p (Holm), {metric.label}", digits=4),
        ]  # fmt: skip
    shown = [column for column in columns if any(row.get(column.key) is not None for row in cells)]
    keys = {key for column in shown for key in column.keys}
    return Table(
        caption=caption,
        variant=variant,
        columns=tuple(shown),
        rows=tuple({key: value for key, value in row.items() if key in keys} for row in cells),
    )


def _pair_cells(rows: Sequence[PairRow], names: Sequence[str]) -> dict[str, Cell]:
    cells: dict[str, Any] = {name: getattr(rows[0], name) for name in names}
    for row in rows:
        if _finite(row.difference):
            cells[row.metric] = row.difference
        cells |= {
            f"{row.metric}_low": row.ci_low,
            f"{row.metric}_high": row.ci_high,
            f"{row.metric}_word": row.verdict,
            f"{row.metric}_g": row.hedges_gz,
            f"{row.metric}_p": row.p_holm,
            f"{row.metric}_signed": row.wilcoxon_p_holm,
        }
    return cells


MakeTable = Callable[[str, Metric, Sequence[TableRow]], Table]
"""From a caption, a metric and its rows."""


def _tables_of_settings(
    rows: Sequence[TableRow], titles: dict[str, str], what: str, made: MakeTable
) -> Iterator[Table]:
    """One of each setting, which shows ``what``, with a variant for each metric."""
    for (table, dataset, setting), members in groupby(
        rows, key=lambda row: (row.table, row.dataset, row.setting)
    ):
        of_setting = list(members)
        name = f"{dataset}{simulated(of_setting[0].data_source)}"
        caption = f"Table {table}: {titles[table]}; {name}, setting {setting}, {what}"
        yield from _tables_of_metrics(of_setting, caption, made)


def _tables_of_metrics(rows: Sequence[TableRow], caption: str, made: MakeTable) -> Iterator[Table]:
    for name in SHOWN:
        if of_metric := [row for row in rows if row.metric == name]:
            yield made(caption, metric_of(name, of_metric[0].variant), of_metric)


def component_tables(rows: Sequence[TableRow], titles: dict[str, str]) -> Iterator[Table]:
    """Components of variance, of what was trained several times."""
    several = [row for row in rows if row.variant == QUANTITATIVE.name and row.subject_std is not None]
    yield from _tables_of_settings(several, titles, "what makes values vary", _component_table)


def _component_table(caption: str, metric: Metric, rows: Sequence[TableRow]) -> Table:
    digits = metric.digits + 1
    columns = (
        *(Column(key=key, label=key) for key in ("method", "learning", "estimate")),
        Column(key="n_subjects", label="subjects"),
        Column(key="n_replicates", label="trainings"),
        Column(key="subject_std", label="SD between subjects", digits=digits),
        Column(key="training_std", label="SD between trainings", digits=digits),
        Column(key="residual_std", label="SD of the rest", digits=digits),
    )
    return Table(
        caption=caption,
        variant=metric.label,
        columns=columns,
        rows=tuple({column.key: getattr(row, column.key) for column in columns} for row in rows),
    )


def published_tables(rows: Sequence[TableRow], titles: dict[str, str]) -> Iterator[Table]:
    """Published value, ours and the difference."""
    published = [row for row in rows if row.paper_mean is not None]
    for table, members in groupby(published, key=lambda row: row.table):
        caption = f"Table {table}: {titles[table]}, beside the published values"
        yield from _tables_of_metrics(list(members), caption, _published_table)


def _published_table(caption: str, metric: Metric, rows: Sequence[TableRow]) -> Table:
    digits = metric.digits
    names = ("method", "learning", "estimate", "dataset", "setting")
    return Table(
        caption=caption,
        variant=metric.label,
        columns=(
            *(Column(key=name, label=name.replace("dataset", "data set")) for name in names),
            Column(key="paper_mean", label="published", digits=digits, spread="paper_std"),
            Column(key="mean", label="ours", digits=digits, spread="std", low="ci_low", high="ci_high"),
            Column(key="paper_difference", label="difference", digits=digits),
            Column(key="paper_doubt", label="doubt"),
        ),
        rows=tuple(
            {
                name: value
                for name in (*names, *_PUBLISHED)
                if not isinstance(value := getattr(row, name), float) or _finite(value)
            }
            for row in rows
        ),
    )


_PUBLISHED = (
    "paper_mean", "paper_std", "mean", "std", "ci_low", "ci_high", "paper_difference", "paper_doubt",
)  # fmt: skip


def subject_tables(rows: Sequence[TableRow], titles: dict[str, str]) -> Iterator[Table]:
    """What each subject has, where they are few."""
    few = [
        row
        for row in rows
        if row.variant == QUANTITATIVE.name and 1 < len(row.subject_values) < FEW_SUBJECTS
    ]
    yield from _tables_of_settings(few, titles, "each subject", _subject_table)


def _subject_table(caption: str, metric: Metric, rows: Sequence[TableRow]) -> Table:
    subjects = [name for name, _ in rows[0].subject_values]
    columns = (
        *(Column(key=key, label=key) for key in ("method", "learning", "estimate")),
        *(
            Column(key=f"subject {name}", label=f"subject {name}", digits=metric.digits)
            for name in subjects
        ),
    )
    cells: list[dict[str, Cell]] = [
        {
            "method": row.method, "learning": row.learning, "estimate": row.estimate,
            **_subject_cells(row.subject_values),
        }
        for row in rows
    ]  # fmt: skip
    return Table(caption=caption, variant=metric.label, columns=columns, rows=tuple(cells))


def _subject_cells(values: BySubject) -> dict[str, Cell]:
    return {f"subject {name}": value for name, value in values if _finite(value)}


def _finite(value: float) -> bool:
    return abs(value) < float("inf")
