"""The tables as sections of the report, and the page of those that matter most."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import groupby

from quietpet.evaluation.comparison import QUANTITATIVE
from quietpet.evaluation.layouts import layouts
from quietpet.evaluation.summaries import summary_of_setting
from quietpet.evaluation.table_grids import (
    PUBLISHED_METRICS,
    SHOWN_VARIANTS,
    grid,
    place_of,
    short_table,
)
from quietpet.evaluation.table_notes import cell_in_words, has_interval, legend, notes_on
from quietpet.evaluation.table_plan import TablePlan
from quietpet.evaluation.tables import TableRow
from quietpet.evaluation.told import simulated, title_of, warnings_of
from quietpet.files.sections import Section, ShownFigure, anchor, render_markdown


def tables_section(
    rows: Sequence[TableRow],
    *,
    plan: TablePlan,
    sentences: Mapping[str, str] | None = None,
    figures: Mapping[str, str] | None = None,
    also: Sequence[Section] = (),
) -> Section:
    """All tables below each other, then ``also``.

    ``sentences`` say what each table shows, ``figures`` are names of files; both by table.
    """
    titles = {layout.table: layout.title for layout in layouts(plan.datasets)}
    return Section(
        id="tables",
        title="Tables",
        summary=_overview(rows),
        warnings=_warnings(rows),
        notes=tuple(legend(rows, plan)),
        sections=(
            *(
                _table_section(
                    table,
                    _title(titles[table], members),
                    members,
                    figure=(figures or {}).get(table),
                    said=(sentences or {}).get(table, ""),
                )
                for table, members in _by_table(rows)
            ),
            *also,
        ),
    )


def render(
    rows: Sequence[TableRow], *, plan: TablePlan, sentences: Mapping[str, str] | None = None
) -> str:
    """A page of the tables in the variant `quantitative`, with published values; Markdown.

    ``sentences`` are as in :func:`tables_section`. All else is in the report, to which it leads.
    """
    shown = [row for row in rows if row.variant == QUANTITATIVE.name and row.metric in PUBLISHED_METRICS]
    published = {place_of(row): row for row in rows if row.paper_mean is not None}
    titles = {layout.table: layout.title for layout in layouts(plan.datasets)}
    interval = f"{100 * plan.evaluation.confidence:g} % interval of the mean over subjects"
    page = Section(
        id="results",
        title="Results",
        summary=f"{cell_in_words(shown, interval)}, variant "
        f"`{QUANTITATIVE.name}`: {QUANTITATIVE.description}. Published values are of images scaled and "
        "cut in a way that is not published; `tables.csv` and the report have the variant `paper`, "
        "which is nearest to it, and whose difference to the published value stands here. **All else "
        "is in `report.html`, beside this file: other metrics and variants, what may be concluded, "
        "figures, deviations, how it was made.**",
        warnings=_warnings(rows),
        sections=tuple(
            Section(
                id=f"table-{anchor(table)}",
                title=f"Table {table}: {_title(titles[table], members)}",
                summary=(sentences or {}).get(table) or " ".join(_summaries(members)),
                tables=tuple(short_table(of_setting, published) for of_setting in _settings(members)),
            )
            for table, members in _by_table(shown)
        ),
    )
    return render_markdown(page, level=1) + "\n"


def _table_section(
    table: str, title: str, rows: Sequence[TableRow], *, figure: str | None, said: str
) -> Section:
    shown = [] if figure is None else [_shown_figure(table, rows, figure)]
    return Section(
        id=f"table-{anchor(table)}",
        title=f"Table {table}: {title}",
        summary=" ".join(filter(None, (said, *_summaries(rows)))),
        notes=tuple(notes_on(rows)),
        figures=tuple(shown),
        tables=tuple(
            grid(variant, of_variant)
            for of_setting in _settings(rows)
            for variant in SHOWN_VARIANTS
            if (of_variant := [row for row in of_setting if row.variant == variant.name])
        ),
    )


def _shown_figure(table: str, rows: Sequence[TableRow], figure: str) -> ShownFigure:
    """The figure in words, of the marks that are in it: of single restorations alone."""
    single = [row for row in rows if row.estimate == "single"]
    published = [row for row in single if row.paper_mean is not None]
    marks = {
        "intervals": ("its interval over subjects (blue line)", has_interval(single)),
        "values of each test subject": ("means of each test subject (grey rings)", True),
        "published values": (
            "published values (crosses)", any(not row.paper_doubt for row in published)
        ),
        "published values that are doubted": (
            "published values that are doubted (three-pointed stars)",
            any(row.paper_doubt for row in published),
        ),
    }  # fmt: skip
    found = {name: words for name, (words, is_there) in marks.items() if is_there}
    return ShownFigure(
        file=figure,
        alt=f"PSNR and NMSE of every method of Table {table}, with {', '.join(found)}.",
        caption=f"Table {table}: mean (blue diamond), {', '.join(found.values())}, in `quantitative` "
        "and `paper`.",
    )


def _overview(rows: Sequence[TableRow]) -> str:
    tables = list(dict.fromkeys(row.table for row in rows))
    methods = {row.method for row in rows}
    return (
        f"{len(tables)} tables ({', '.join(tables)}) of {len(methods)} methods. What each shows is said "
        "above it; what may be concluded, under the claim."
    )


def _warnings(rows: Iterable[TableRow]) -> tuple[str, ...]:
    return warnings_of(row.data_source for row in rows)


def _title(title: str, rows: Sequence[TableRow]) -> str:
    return title_of(title, (row.data_source for row in rows))


def _settings(rows: Sequence[TableRow]) -> Iterator[list[TableRow]]:
    """The rows of each setting of each data set."""
    for _, members in groupby(rows, key=lambda row: (row.dataset, row.setting)):
        yield list(members)


def _summaries(rows: Sequence[TableRow]) -> Iterator[str]:
    for of_setting in _settings(rows):
        first = of_setting[0]
        place = f"{first.dataset}{simulated(first.data_source)}, `{first.setting}`"
        yield f"{place}: {summary_of_setting(of_setting)}"


def _by_table(rows: Iterable[TableRow]) -> Iterator[tuple[str, list[TableRow]]]:
    for table, members in groupby(rows, key=lambda row: row.table):
        yield table, list(members)
