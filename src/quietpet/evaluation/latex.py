r"""Tables in LaTeX, as a paper prints them; of packages they want booktabs alone."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

from quietpet.evaluation.comparison import PAPER, QUANTITATIVE, Variant
from quietpet.evaluation.effects import LEAST_SUBJECTS
from quietpet.evaluation.layouts import file_stem
from quietpet.evaluation.metric import Metric
from quietpet.evaluation.printed import MetricKey, PrintedRow, PrintedTable, doubt_notes
from quietpet.evaluation.tables import TableRow
from quietpet.evaluation.told import simulated

SHOWN = ("psnr_db", "ssim", "nmse")
"""Metrics of the published tables."""

_VARIANTS = (QUANTITATIVE, PAPER)

_ESCAPED = {
    "\\": r"\textbackslash{}",
    **{character: f"\\{character}" for character in "&%$#_{}"},
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "±": r"$\pm$",
    "†": r"$\dagger$",
    "°": r"$^\circ$",
    "∞": r"$\infty$",
}


def escaped(text: str) -> str:
    """``text`` as LaTeX prints it: every character for itself."""
    return "".join(_ESCAPED.get(character, character) for character in text)


def latex(table: PrintedTable, *, confidence: float) -> str:
    """A float for each of the variants ``quantitative`` and ``paper`` that the table has."""
    floats = [
        _float(table, variant, metrics, confidence=confidence)
        for variant in _VARIANTS
        if (
            metrics := [each for each in table.metrics if each.variant == variant and each.name in SHOWN]
        )
    ]
    return "\n\n".join(["% Needs \\usepackage{booktabs}.", *floats]) + "\n"


def _float(
    table: PrintedTable, variant: Variant, metrics: Sequence[Metric], *, confidence: float
) -> str:
    rows = [row for row in table.rows if any(_cell(row, metric) for metric in metrics)]
    published = _has_published(rows, metrics)
    names = _name_columns(rows)
    columns = [*("l" for _ in names), *("r" * (1 + published) for _ in metrics)]
    caption = (
        f"{table.title[0].upper()}{table.title[1:]}. Variant {variant.name}: {variant.description}."
    )
    return "\n".join(
        [
            r"\begin{table*}",
            r"\centering\small",
            rf"\caption{{{escaped(caption)}}}",
            rf"\label{{tab:{file_stem(table.table)}-{variant.name}}}",
            rf"\begin{{tabular}}{{{''.join(columns)}}}",
            r"\toprule",
            *_header(names, metrics, published=published),
            *_body(table, names, metrics, published=published),
            r"\bottomrule",
            r"\end{tabular}",
            "",
            r"\medskip\footnotesize\raggedright",
            *(rf"{escaped(note)}\par" for note in _notes(table, rows, metrics, confidence)),
            r"\end{table*}",
        ]
    )


def _has_published(rows: Sequence[PrintedRow], metrics: Sequence[Metric]) -> bool:
    cells = (_cell(row, metric) for row in rows for metric in metrics)
    return any(cell is not None and cell.paper_mean is not None for cell in cells)


def _name_columns(rows: Sequence[PrintedRow]) -> list[str]:
    """The method, and what else tells rows apart: how they learned, and which estimate it is."""
    ways: dict[tuple[str, ...], set[str]] = {}
    for row in rows:
        ways.setdefault((row.dataset, row.setting, row.method), set()).add(row.learning)
    several = any(len(found) > 1 for found in ways.values())
    estimates = len({row.estimate for row in rows}) > 1
    return ["method", *(["learning"] if several else []), *(["estimate"] if estimates else [])]


def _header(names: Sequence[str], metrics: Sequence[Metric], *, published: bool) -> Iterator[str]:
    titles = [escaped(metric.label) for metric in metrics]
    if published:
        spans = [rf"\multicolumn{{2}}{{c}}{{{title}}}" for title in titles]
        yield _line(["" for _ in names], spans)
        first = len(names) + 1
        yield "".join(
            rf"\cmidrule(lr){{{first + 2 * number}-{first + 2 * number + 1}}}"
            for number in range(len(metrics))
        )
        titles = ["ours", "published"] * len(metrics)
    yield _line([name.capitalize() for name in names], titles)


def _body(
    table: PrintedTable, names: Sequence[str], metrics: Sequence[Metric], *, published: bool
) -> Iterator[str]:
    width = len(names) + len(metrics) * (1 + published)
    for (dataset, setting), rows in table.settings:
        first = rows[0].first
        name = f"{dataset}{simulated(first.data_source)}"
        place = f"{name}, setting {setting}: {first.n_subjects} subject(s), {first.n_slices} slices"
        yield r"\midrule"
        yield rf"\multicolumn{{{width}}}{{l}}{{\emph{{{escaped(place)}}}}} \\"
        for row in rows:
            cells: list[str] = []
            for metric in metrics:
                cell = _cell(row, metric)
                cells.append(_ours(cell, metric))
                cells += [_published(cell, metric)] if published else []
            yield _line([escaped(getattr(row, name)) for name in names], cells)


def _line(names: Sequence[str], cells: Sequence[str]) -> str:
    return " & ".join([*names, *cells]) + r" \\"


def _cell(row: PrintedRow, metric: Metric) -> TableRow | None:
    return row.cells.get(MetricKey(metric.variant.name, metric.name))


def _ours(cell: TableRow | None, metric: Metric) -> str:
    if cell is None:
        return ""
    mean = _number(cell.mean, metric)
    text = rf"\textbf{{{mean}}}" if cell.best else mean
    if cell.std is not None:
        text += rf" $\pm$ {_number(cell.std, metric)}"
    if cell.ci_low is not None and cell.ci_high is not None:
        text += f" [{_number(cell.ci_low, metric)}, {_number(cell.ci_high, metric)}]"
    return text


def _published(cell: TableRow | None, metric: Metric) -> str:
    if cell is None or cell.paper_mean is None or cell.paper_std is None:
        return ""
    doubt = r"$^\dagger$" if cell.paper_doubt else ""
    return rf"{_number(cell.paper_mean, metric)} $\pm$ {_number(cell.paper_std, metric)}{doubt}"


def _number(value: float, metric: Metric) -> str:
    if not math.isfinite(value):
        return r"$\infty$" if value > 0 else r"$-\infty$"
    text = f"{value:z.{metric.digits}f}"
    return f"$-${text[1:]}" if text.startswith("-") else text


def _notes(
    table: PrintedTable, rows: Sequence[PrintedRow], metrics: Sequence[Metric], confidence: float
) -> Iterator[str]:
    yield (
        f"Mean ± standard deviation over test slices [{confidence:.0%} interval, Student's t over the "
        "means of the test subjects]."
    )
    cells = [cell for row in rows for metric in metrics if (cell := _cell(row, metric))]
    if any(not math.isclose(cell.mean, cell.subject_mean, rel_tol=1e-6) for cell in cells):
        yield "Subjects differ in their slices: intervals are about the mean in which each counts once."
    if any(cell.best for cell in cells):
        yield (
            "Bold: better than every other row of the setting, paired by subject; shown over subjects, "
            "and over subjects and trainings, each after Holm's correction, at level "
            f"{1 - confidence:.2g}."
        )
    elif all(cell.n_subjects < LEAST_SUBJECTS for cell in cells):
        yield f"Nothing is bold: fewer than {LEAST_SUBJECTS} test subjects, no difference was tested."
    else:
        yield "Nothing is bold: no row is shown to be better than every other one of its setting."
    yield from table.data_notes
    yield from doubt_notes(cells)
