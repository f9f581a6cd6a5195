"""Sentences on paired differences: what the chosen method is better and worse than."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import NamedTuple

from quietpet.evaluation.comparison import QUANTITATIVE
from quietpet.evaluation.metric import Metric
from quietpet.evaluation.metrics import metric_of
from quietpet.evaluation.paired import BETTER, SAME, UNCLEAR, UNTESTED, WORSE
from quietpet.evaluation.pairs import SINGLE, PairRow
from quietpet.evaluation.table_plan import TablePlan
from quietpet.evaluation.told import simulated

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
        ways = several_ways(of_table)
        for family in families(of_table):
            if family[0].compared_estimate == SINGLE:
                place = place_of_family(family[0], several_ways=ways)
                places.setdefault(_on_family(family), []).append(place)
        found[table] = " ".join(f"{_places(where)}: {text}." for text, where in places.items())
    return found


def _places(names: Sequence[str]) -> str:
    """Settings of which the same is said; of many the first."""
    if len(names) > _FEW_NAMES - 1:
        return f"{names[0]} and {len(names) - 1} more"
    return "; ".join(names)


def families(rows: Sequence[PairRow]) -> Iterator[list[PairRow]]:
    """Rows that are compared with one run of the chosen method in one setting."""
    families: dict[tuple[str, ...], list[PairRow]] = {}
    for row in rows:
        place = (row.dataset, row.setting, row.compared_learning, row.compared_estimate)
        families.setdefault(place, []).append(row)
    yield from families.values()


def several_ways(rows: Sequence[PairRow]) -> bool:
    """Whether the chosen method learned in several ways, with each of which others are compared."""
    return len({row.compared_learning for row in rows}) > 1


def place_of_family(row: PairRow, *, several_ways: bool) -> str:
    """Data set, setting and number of subjects, and how the chosen method learned if in several ways."""
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


def result_of(row: PairRow) -> _Result:
    """What a row compares."""
    return _Result(row.method, row.learning, row.estimate)


def _count_results(rows: Sequence[PairRow]) -> str:
    """How many methods; how many results of them where one has several."""
    results = {result_of(row) for row in rows}
    methods = _count(len({each.method for each in results}), "method")
    several = len(results) > len({each.method for each in results})
    return f"{len(results)} results of {methods}" if several else methods


def _named(rows: Sequence[PairRow], word: str) -> list[str]:
    """The results with this verdict, which is theirs against the chosen method."""
    results = list(dict.fromkeys(map(result_of, rows)))
    found = dict.fromkeys(result_of(row) for row in rows if row.verdict == word)
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
