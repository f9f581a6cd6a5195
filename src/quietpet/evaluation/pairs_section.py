"""What the report shows of paired differences, and a sentence on each table made of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import groupby
from typing import Any, NamedTuple

from quietpet.evaluation.comparison import QUANTITATIVE, VARIANTS
from quietpet.evaluation.effects import LEAST_SUBJECTS
from quietpet.evaluation.layouts import layouts
from quietpet.evaluation.metric import Metric
from quietpet.evaluation.metrics import metric_of
from quietpet.evaluation.paired import BETTER, SAME, UNCLEAR, UNTESTED, WORSE, least_wilcoxon_subjects
from quietpet.evaluation.pairs import FEW_SUBJECTS, SINGLE, BySubject, PairRow
from quietpet.evaluation.table_plan import TablePlan
from quietpet.evaluation.tables import TableRow
from quietpet.evaluation.told import simulated, title_of, warnings_of
from quietpet.files.sections import Cell, Column, Section, Table

SHOWN = ("psnr_db", "ssim", "nmse")
"""Metrics that the sentences and the tables of the report are about."""


_FEW_NAMES = 4


def summary_sentences(rows: Sequence[PairRow], *, plan: TablePlan) -> dict[str, str]:
    """A sentence on each table: what the chosen method is better and worse than, in ``quantitative``."""
    main = [row for row in rows if row.variant == QUANTITATIVE.name and row.metric in SHOWN]
    found: dict[str, str] = {}
    for table, members in groupby(main, key=lambda row: row.table):
        places: dict[str, list[str]] = {}
        of_table = list(members)
        ways = _several_ways(of_table)
        for family in _families(of_table):
            if family[0].compared_estimate == SINGLE:
                place = _place(family[0], several_ways=ways)
                places.setdefault(_on_family(family), []).append(place)
        found[table] = " ".join(f"{_places(where)}: {text}." for text, where in places.items())
    return found


def _places(names: Sequence[str]) -> str:
    """Settings of which the same is said; of many the first."""
    if len(names) > _FEW_NAMES - 1:
        return f"{names[0]} and {len(names) - 1} more"
    return "; ".join(names)


def _families(rows: Sequence[PairRow]) -> Iterator[list[PairRow]]:
    """Rows that are compared with one run of the chosen method in one setting."""
    families: dict[tuple[str, ...], list[PairRow]] = {}
    for row in rows:
        place = (row.dataset, row.setting, row.compared_learning, row.compared_estimate)
        families.setdefault(place, []).append(row)
    yield from families.values()


def _several_ways(rows: Sequence[PairRow]) -> bool:
    """Whether the chosen method learned in several ways, with each of which others are compared."""
    return len({row.compared_learning for row in rows}) > 1


def _place(row: PairRow, *, several_ways: bool) -> str:
    learned = f", learned `{row.compared_learning}`" if several_ways else ""
    name = f"{row.dataset}{simulated(row.data_source)}"
    return f"{name}, setting `{row.setting}`{learned} ({_count(row.n_subjects, 'subject')})"


def _count(number: int, what: str) -> str:
    return f"{number} {what}" if number == 1 else f"{number} {what}s"


def _on_family(rows: Sequence[PairRow]) -> str:
    """Of the first metric in full, of the others in numbers."""
    by_metric = [
        (metric_of(name, QUANTITATIVE.name), [row for row in rows if row.metric == name])
        for name in SHOWN
    ]
    full, *rest = [(metric, found) for metric, found in by_metric if found]
    said = any(row.verdict in (BETTER, WORSE) for row in rows)
    return "; ".join([_in_full(*full), *(_in_numbers(*each) for each in rest if said)])


def _in_full(metric: Metric, rows: Sequence[PairRow]) -> str:
    chosen, count = f"`{rows[0].compared_with}`", _count_results(rows)
    if _all_untested(rows):
        return f"{chosen} against {count}: not testable ({_reasons(rows)})"
    better, worse = _named(rows, WORSE), _named(rows, BETTER)
    parts = [f"by {metric.label} {chosen} is better than {len(better)} of {count}"]
    if worse:
        parts.append(f"worse than {_listed(worse)}")
    if unclear := [*_named(rows, UNCLEAR), *_named(rows, SAME)]:
        parts.append(f"no difference is shown to {_listed(unclear)}")
    if untested := _named(rows, UNTESTED):
        parts.append(f"not testable: {_listed(untested)} ({_reasons(rows, short=True)})")
    return ", ".join(parts)


def _in_numbers(metric: Metric, rows: Sequence[PairRow]) -> str:
    if _all_untested(rows):
        return f"by {metric.label} not testable"
    better, worse = len(_named(rows, WORSE)), len(_named(rows, BETTER))
    return f"by {metric.label} better than {better} and worse than {worse}"


def _all_untested(rows: Sequence[PairRow]) -> bool:
    return all(row.verdict == UNTESTED for row in rows)


def _reasons(rows: Sequence[PairRow], *, short: bool = False) -> str:
    """Why what is not testable is not; of several reasons their first words."""
    reasons = dict.fromkeys(row.reason for row in rows if row.verdict == UNTESTED)
    if short or len(reasons) > 1:
        reasons = dict.fromkeys(reason.partition(" of ")[0] for reason in reasons)
    return ", ".join(reasons)


class _Result(NamedTuple):
    """What is compared: a method that learned in one way, and which estimate of it."""

    method: str
    learning: str
    estimate: str


def _result(row: PairRow) -> _Result:
    return _Result(row.method, row.learning, row.estimate)


def _count_results(rows: Sequence[PairRow]) -> str:
    """How many methods; how many results of them where one has several."""
    results = {_result(row) for row in rows}
    methods = _count(len({each.method for each in results}), "method")
    several = len(results) > len({each.method for each in results})
    return f"{len(results)} results of {methods}" if several else methods


def _named(rows: Sequence[PairRow], word: str) -> list[str]:
    """The results with this verdict, which is theirs against the chosen method."""
    results = list(dict.fromkeys(map(_result, rows)))
    found = dict.fromkeys(_result(row) for row in rows if row.verdict == word)
    return [_name(each, [other for other in results if other.method == each.method]) for each in found]


def _name(result: _Result, of_method: Sequence[_Result]) -> str:
    """The method, and what tells the result from the others ``of_method``."""
    apart = [
        getattr(result, field)
        for field in ("learning", "estimate")
        if len({getattr(each, field) for each in of_method}) > 1
    ]
    return f"`{result.method}` ({', '.join(apart)})" if apart else f"`{result.method}`"


def _listed(names: Sequence[str]) -> str:
    """How many, and a few of them by name."""
    return ", ".join(names) if len(names) <= _FEW_NAMES else str(len(names))


def paired_section(pairs: Sequence[PairRow], rows: Sequence[TableRow], *, plan: TablePlan) -> Section:
    """From all pairs and rows of the tables."""
    titles = _titles(rows, plan)
    sentences = summary_sentences(pairs, plan=plan)
    alone = f"`{plan.reference}` is not scored beside any other method."
    summary = " ".join(
        f"Table {table}: {sentences.get(table, alone)}"
        for table in dict.fromkeys(row.table for row in rows)
    )
    return Section(
        id="paired",
        title=f"Each method beside {plan.reference}, subject by subject, and beside what is published",
        part="Tables",
        summary=summary,
        warnings=warnings_of(row.data_source for row in rows),
        notes=_notes(pairs, plan),
        tables=(
            *_pair_tables(pairs, titles),
            *_subject_tables(rows, titles),
            *_component_tables(rows, titles),
            *_published_tables(rows, titles),
        ),
    )


def _titles(rows: Sequence[TableRow], plan: TablePlan) -> dict[str, str]:
    """Titles of the tables that have rows, which say where scans are simulated."""
    titles = {layout.table: layout.title for layout in layouts(plan.datasets)}
    return {
        table: title_of(titles[table], [row.data_source for row in members])
        for table, members in groupby(rows, key=lambda row: row.table)
    }


def _signed_rank_note(pairs: Sequence[PairRow], level: float) -> str:
    least = least_wilcoxon_subjects(family=1, level=level)
    note = f"of fewer than {least} subjects it can show nothing at {level:.2g}"
    most = max((row.n_compared for row in pairs), default=1)
    if most == 1:
        return f"{note}."
    needed = least_wilcoxon_subjects(family=most, level=level)
    return f"{note}, and of {most} comparisons it needs {needed}."


def _notes(pairs: Sequence[PairRow], plan: TablePlan) -> tuple[str, ...]:
    percent = f"{plan.evaluation.confidence:.0%}"
    level = 1 - plan.evaluation.confidence
    return (
        f"Difference: a method minus `{plan.reference}` (`evaluation.compare_with`; where nobody names "
        "one, mfdiff, else the first network), mean over test subjects, whose slices and trainings are "
        f"averaged first, with Student's interval of {percent} over subjects.",
        "It is called better or worse, higher or lower, where that interval leaves 0 out, and the one "
        "over subjects and trainings, both after Holm's correction for all methods of the setting, too "
        f"(p at most {level:.2g}). A network of one training is not testable against any other: what "
        f"another seed changes is not known. Fewer than {LEAST_SUBJECTS} subjects are not tested.",
        "g: mean over standard deviation of the subjects' differences (Cohen's d_z), without its bias "
        "in few subjects (Hedges). `paired.csv` has all metrics, the intervals over subjects and "
        f"trainings, and Wilcoxon's signed-rank test: {_signed_rank_note(pairs, level)}",
        "What makes values vary: standard deviations between subjects, between trainings from other "
        "seeds, and of what is left, of a two-way analysis of variance; of methods with several "
        "trainings.",
        "Published values stand beside ours in the variant `paper`, which is our reading of how they "
        "were measured; a doubt names another published statement that contradicts the value.",
        "Single samples are compared with single ones, means of samples with means and with methods "
        "that do not sample.",
    )


def _pair_tables(pairs: Sequence[PairRow], titles: dict[str, str]) -> Iterator[Table]:
    """Of settings with more than one subject; of one there is nothing to compare but the values."""
    shown = [row for row in pairs if row.metric in SHOWN and row.n_subjects > 1]
    for table, members in groupby(shown, key=lambda row: row.table):
        of_table = list(members)
        ways = _several_ways(of_table)
        for family in _families(of_table):
            for variant in VARIANTS:
                if of_variant := [row for row in family if row.variant == variant.name]:
                    caption = f"Table {table}: {titles[table]}; {_caption(family[0], several_ways=ways)}"
                    yield _pair_table(caption, variant.name, of_variant)


def _caption(row: PairRow, *, several_ways: bool) -> str:
    chosen = row.compared_with
    if row.compared_estimate != SINGLE:
        chosen += f" ({row.compared_estimate})"
    return f"{_place(row, several_ways=several_ways)}, minus {chosen}".replace("`", "")


def _pair_table(caption: str, variant: str, rows: Sequence[PairRow]) -> Table:
    results = [list(members) for _, members in groupby(rows, key=_result)]
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


def _component_tables(rows: Sequence[TableRow], titles: dict[str, str]) -> Iterator[Table]:
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


def _published_tables(rows: Sequence[TableRow], titles: dict[str, str]) -> Iterator[Table]:
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


def _subject_tables(rows: Sequence[TableRow], titles: dict[str, str]) -> Iterator[Table]:
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
