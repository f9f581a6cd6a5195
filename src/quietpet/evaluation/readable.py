"""The tables as sections of the report, and the page of those that matter most."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import groupby

from quietpet.evaluation.comparison import JOINTLY_SCALED, PAPER, QUANTITATIVE, VARIANTS, Variant
from quietpet.evaluation.layouts import layouts
from quietpet.evaluation.metric import Metric
from quietpet.evaluation.metrics import METRICS, metric_of
from quietpet.evaluation.spread import LITTLE_SPREAD, LITTLE_SPREAD_BELOW, spreads_little
from quietpet.evaluation.summaries import summary_of_setting
from quietpet.evaluation.table_plan import TablePlan
from quietpet.evaluation.tables import TableRow
from quietpet.evaluation.told import simulated, title_of, warnings_of
from quietpet.files.sections import (
    Cell,
    Column,
    Section,
    ShownFigure,
    Table,
    anchor,
    cell,
    render_markdown,
)

PUBLISHED_METRICS = ("psnr_db", "ssim", "nmse")

SHOWN_VARIANTS = (QUANTITATIVE, *(variant for variant in VARIANTS if variant != QUANTITATIVE))
"""The one that ranks methods first."""

NAMES = (
    Column(key="method", label="Method"),
    Column(key="learning", label="Learning"),
    Column(key="iterations", label="Iterations"),
    Column(key="estimate", label="Estimate"),
)


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
        notes=tuple(_legend(rows, plan)),
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
    published = {_place(row): row for row in rows if row.paper_mean is not None}
    titles = {layout.table: layout.title for layout in layouts(plan.datasets)}
    interval = f"{100 * plan.evaluation.confidence:g} % interval of the mean over subjects"
    page = Section(
        id="results",
        title="Results",
        summary=f"{_cell_in_words(shown, interval)}, variant "
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
                tables=tuple(_short_table(of_setting, published) for of_setting in _settings(members)),
            )
            for table, members in _by_table(shown)
        ),
    )
    return render_markdown(page, level=1) + "\n"


def _short_table(rows: Sequence[TableRow], published: Mapping[tuple[str, ...], TableRow]) -> Table:
    """PSNR, SSIM and NMSE of one setting, each with the published value behind it."""
    columns = [NAMES[0], NAMES[1], NAMES[3]]
    for name in PUBLISHED_METRICS:
        columns.append(_column(metric_of(name, QUANTITATIVE.name)))
        if any(_place(row) in published for row in rows if row.metric == name):
            paper = metric_of(name, PAPER.name)
            columns += [_published_column(paper), _difference_column(paper)]
    cells = []
    for _, members in groupby(rows, key=_run):
        by_metric = {row.metric: row for row in members}
        row = _row(by_metric)
        for name in PUBLISHED_METRICS:
            if name in by_metric and (found := published.get(_place(by_metric[name]))):
                row |= _published(found)
        cells.append(_only(row, columns))
    return Table(caption=_setting_in_words(rows[0]), columns=tuple(columns), rows=tuple(cells))


def _table_section(
    table: str, title: str, rows: Sequence[TableRow], *, figure: str | None, said: str
) -> Section:
    shown = [] if figure is None else [_shown_figure(table, rows, figure)]
    return Section(
        id=f"table-{anchor(table)}",
        title=f"Table {table}: {title}",
        summary=" ".join(filter(None, (said, *_summaries(rows)))),
        notes=tuple(_notes(rows)),
        figures=tuple(shown),
        tables=tuple(
            _grid(variant, of_variant)
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
        "intervals": ("its interval over subjects (blue line)", _has_interval(single)),
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


def _cell_in_words(rows: Iterable[TableRow], interval: str) -> str:
    """What a cell holds; of an interval it says nothing where no cell has one."""
    return "Each cell: mean ± standard deviation over test slices" + (
        f" [{interval}]" if _has_interval(rows) else ""
    )


def _has_interval(rows: Iterable[TableRow]) -> bool:
    return any(row.ci_low is not None for row in rows)


def _grid(variant: Variant, rows: Sequence[TableRow]) -> Table:
    """Methods (and estimates) down, metrics across."""
    found = {row.metric for row in rows}
    metrics = [metric for metric in METRICS if metric.variant == variant and metric.name in found]
    columns = [*NAMES]
    for metric in metrics:
        columns.append(_column(metric))
        if variant == PAPER and any(
            row.metric == metric.name and row.paper_mean is not None for row in rows
        ):
            columns += [_published_column(metric), _difference_column(metric)]
    columns += [
        Column(key="spread_to_error", label="Spread/error", digits=2),
        Column(key="seeds", label="Seeds"),
        Column(key="seed_std", label="PSNR between seeds", unit="± dB", digits=2),
    ]
    cells = []
    for _, members in groupby(rows, key=_run):
        by_metric = {row.metric: row for row in members}
        row = _row(by_metric)
        for each in by_metric.values():
            if variant == PAPER and each.paper_mean is not None:
                row |= _published(each)
        cells.append(_only(row, columns))
    return Table(
        caption=_setting_in_words(rows[0]),
        columns=tuple(columns),
        rows=tuple(cells),
        variant=variant.name,
    )


def _row(by_metric: Mapping[str, TableRow]) -> dict[str, Cell]:
    """One method: its names, and each metric with spread and interval."""
    first = next(iter(by_metric.values()))
    psnr = by_metric.get("psnr_db")
    cells: dict[str, Cell] = {
        "method": first.method,
        "learning": first.learning,
        "iterations": first.iterations,
        "estimate": first.estimate,
        "spread_to_error": first.spread_to_error,
        "seeds": first.n_replicates,
        "seed_std": psnr.seed_std if psnr else None,
    }
    for name, row in by_metric.items():
        values = {"": row.mean, "_std": row.std, "_low": row.ci_low, "_high": row.ci_high}
        cells |= {f"{name}{ending}": cell(value) for ending, value in values.items()}
        cells[f"{name}_best"] = row.best or None
    return cells


def _column(metric: Metric) -> Column:
    name = metric.name
    return Column(
        key=name,
        label=metric.label,
        digits=metric.digits,
        spread=f"{name}_std",
        low=f"{name}_low",
        high=f"{name}_high",
        mark=f"{name}_best",
    )


def _published_column(metric: Metric) -> Column:
    key = f"{metric.name}_published"
    return Column(
        key=key, label=f"{metric.label}, published", digits=metric.digits, spread=f"{key}_std",
        mark=f"{key}_doubt",
    )  # fmt: skip


def _difference_column(metric: Metric) -> Column:
    return Column(
        key=f"{metric.name}_difference", label=f"{metric.label}, ours minus published",
        digits=metric.digits, signed=True,
    )  # fmt: skip


def _published(row: TableRow) -> dict[str, Cell]:
    key = f"{row.metric}_published"
    doubt = "†" if row.paper_doubt else None
    return {
        key: row.paper_mean,
        f"{key}_std": row.paper_std,
        f"{key}_doubt": doubt,
        f"{row.metric}_difference": None if row.paper_difference is None else cell(row.paper_difference),
    }


def _only(row: dict[str, Cell], columns: Iterable[Column]) -> dict[str, Cell]:
    """What the columns show of a row."""
    shown = {key for column in columns for key in column.keys}
    return {key: value for key, value in row.items() if key in shown}


def _overview(rows: Sequence[TableRow]) -> str:
    tables = list(dict.fromkeys(row.table for row in rows))
    methods = {row.method for row in rows}
    return (
        f"{len(tables)} tables ({', '.join(tables)}) of {len(methods)} methods. What each shows is said "
        "above it; what may be concluded, under the claim."
    )


def _warnings(rows: Iterable[TableRow]) -> tuple[str, ...]:
    return warnings_of(row.data_source for row in rows)


def _legend(rows: Sequence[TableRow], plan: TablePlan) -> list[str]:
    percent = f"{100 * plan.evaluation.confidence:g} %"
    pixels = f" ({plan.evaluation.paper_window_pixels} pixels)"
    widths = {PAPER: pixels, JOINTLY_SCALED: pixels, QUANTITATIVE: ""}
    intervals = [
        f"Interval: {percent}, Student's t over the means of the test subjects; it is empty with one "
        "subject, and wide with a handful, as it must be to hold the mean that often."
    ]
    one_subject = [] if any(row.n_subjects > 1 for row in rows) else [
        "**One test subject: no interval can be given, and no difference between methods tested.**"
    ]  # fmt: skip
    return [
        f"{_cell_in_words(rows, 'interval of the mean')}.",
        *(intervals if _has_interval(rows) else []),
        *one_subject,
        *(f"`{variant.name}`: {variant.description}{widths[variant]}." for variant in VARIANTS),
        "Published values stand beside the variant `paper` only, beside every estimate of a method; "
        "`single` is one sample per slice, `mean_of_K` the mean of K samples, which has no more "
        "squared error than they have on average: to be compared with other means, not with single "
        "samples.",
        "Published values marked † contradict another published statement: see below the table's title.",
        *_budget(plan),
        "Iterations: of each stage of learning, one after the other. Where they differ, so may the "
        "methods or regimes for that reason alone.",
        "Spread/error: standard deviation between the samples of a slice, relative to the error of "
        "their mean, bias included (corrected for the number of samples). 1: true samples of the "
        "posterior; 0: a regression. Empty: one sample, or none to draw.",
        "NMSE due to the maximum: what of the `paper` NMSE [%] comes from dividing by maxima, of the "
        "restored image one pixel: it is not there when both images are divided by the maximum of the "
        "standard dose (`jointly_scaled`). Negative: the part of the NMSE scaled so that dividing by "
        "maxima hides.",
        "T1-only lesions: contrast in PET that the standard dose has not, % of the activity around; "
        "positive where PET rose. RMS per slice: root mean square over its lesions; the cell is a mean "
        "over slices. Nothing cancels in it, noise neither: compare with a method that never sees T1.",
        "Seeds: trainings from different seeds; slices are averaged over them first, and ± beside the "
        "number is the standard deviation of the mean PSNR over them.",
        "Setting `-` (Table 1) and `ablation` (Table 5) are the published tables' names of the "
        "published dose level; other settings carry their own name.",
    ]


def _budget(plan: TablePlan) -> list[str]:
    """What the networks were given; a study without any says nothing."""
    if not (plan.trained and plan.budget):
        return []
    return [
        f"Budget, one rule for all networks: {plan.budget}. Where the column `iterations` has other "
        "numbers, a stage of learning has those, or the protocol of the method says why; it also says "
        "which learning rate was chosen, and which method has optimiser settings of its own. Longer "
        "trainings come nearer to the published values."
    ]


def _title(title: str, rows: Sequence[TableRow]) -> str:
    return title_of(title, (row.data_source for row in rows))


def _settings(rows: Sequence[TableRow]) -> Iterator[list[TableRow]]:
    """The rows of each setting of each data set."""
    for _, members in groupby(rows, key=lambda row: (row.dataset, row.setting)):
        yield list(members)


def _setting_in_words(row: TableRow) -> str:
    return (
        f"{row.dataset}{_simulated(row)}, setting `{row.setting}`: {row.n_slices} slices of "
        f"{row.n_subjects} test subject(s); data source {row.data_source}, projector {row.projector}, "
        f"registration {row.registration}"
    )


def _summaries(rows: Sequence[TableRow]) -> Iterator[str]:
    for of_setting in _settings(rows):
        first = of_setting[0]
        place = f"{first.dataset}{_simulated(first)}, `{first.setting}`"
        yield f"{place}: {summary_of_setting(of_setting)}"


def _run(row: TableRow) -> tuple[str, str, str]:
    return row.method, row.learning, row.estimate


def _place(row: TableRow) -> tuple[str, ...]:
    """What a row is about, whatever its variant."""
    return (row.table, row.dataset, row.setting, *_run(row), row.metric)


def _simulated(row: TableRow) -> str:
    return simulated(row.data_source)


def _notes(rows: Sequence[TableRow]) -> list[str]:
    """What a reader must know before the numbers of one table."""
    notes = []
    sampled = [(row.method, row.spread_to_error) for row in rows if row.spread_to_error is not None]
    for method in dict.fromkeys(method for method, _ in sampled):
        spreads = [spread for name, spread in sampled if name == method]
        notes.append(
            f"`{method}`: samples spread by {_extremes(spreads, '.2f')} of their error, bias included "
            "(true samples of the posterior: 1); so one has "
            f"{_extremes([100 * spread**2 for spread in spreads], '.0f')} % more squared error than the "
            "mean of endless ones. Where that is little, the noise of samples explains no difference to "
            f"regression networks.{_little_spread(rows, method)}"
        )
    doubts = dict.fromkeys((row.paper_doubt, row.method) for row in rows if row.paper_doubt)
    for doubt in dict.fromkeys(doubt for doubt, _ in doubts):
        methods = ", ".join(f"`{method}`" for text, method in doubts if text == doubt)
        notes.append(f"† Published, {methods}: {doubt}.")
    return notes


def _little_spread(rows: Sequence[TableRow], method: str) -> str:
    """Where the samples of a method hardly differ, in a sentence; nothing where they do everywhere."""
    places = dict.fromkeys(
        f"{row.dataset}, setting `{row.setting}`"
        for row in rows
        if row.method == method and spreads_little(row.spread_to_error)
    )
    if not places:
        return ""
    return (
        f" Below {LITTLE_SPREAD_BELOW:g} it is {LITTLE_SPREAD}, which this does not tell apart: "
        f"{'; '.join(places)}."
    )


def _extremes(values: Sequence[float], digits: str) -> str:
    return " to ".join(dict.fromkeys(f"{value:{digits}}" for value in (min(values), max(values))))


def _by_table(rows: Iterable[TableRow]) -> Iterator[tuple[str, list[TableRow]]]:
    for table, members in groupby(rows, key=lambda row: row.table):
        yield table, list(members)
