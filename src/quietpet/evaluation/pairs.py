"""Each method of a table beside the chosen one, and the best of each column beside all others."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from quietpet.evaluation.cells import Cell
from quietpet.evaluation.effects import LEAST_SUBJECTS
from quietpet.evaluation.layouts import Run, TableLayout
from quietpet.evaluation.paired import (
    SAME,
    UNCLEAR,
    UNTESTED,
    WORSE,
    Judged,
    Measured,
    PairedDifference,
    Verdict,
    judge,
    paired_difference,
    pooled_between_trainings,
    wilcoxon_reason,
)
from quietpet.evaluation.rows import BySubject, Row, by_subject, columns_of
from quietpet.evaluation.statistics import ends
from quietpet.evaluation.table_plan import TablePlan

SINGLE = "single"


@dataclass(frozen=True, kw_only=True)
class PairRow(Row):
    """One metric of a method minus that of the chosen one, ``compared_with``, in the same subjects.

    The fields are the columns of ``paired.csv``, None an empty cell. ``difference`` is of the means
    over subjects; ``ci_low``, ``ci_high``, ``p`` are Student's over subjects; ``total_ci_low``,
    ``total_ci_high`` and ``total_p`` those over subjects and trainings. ``subjects_above`` are those
    with a positive difference. ``p_holm``, ``total_p_holm`` and ``wilcoxon_p_holm`` are corrected for
    all ``n_compared`` methods of one setting of a table that are compared with the same one.
    ``wilcoxon`` says why that test can show nothing, ``verdict`` what may be said, and ``reason`` why
    no more.
    """

    table: str
    dataset: str
    setting: str
    method: str
    learning: str
    estimate: str
    compared_with: str
    compared_learning: str
    compared_estimate: str
    metric: str
    variant: str
    difference: float
    ci_low: float | None
    ci_high: float | None
    total_ci_low: float | None
    total_ci_high: float | None
    p: float | None
    p_holm: float | None
    total_p: float | None
    total_p_holm: float | None
    cohens_dz: float | None
    hedges_gz: float | None
    wilcoxon_p: float | None
    wilcoxon_p_holm: float | None
    wilcoxon: str
    verdict: str
    reason: str
    n_compared: int
    n_subjects: int
    subjects_above: int
    n_replicates: int
    n_replicates_compared: int
    subject_differences: BySubject
    protocol: str
    data_source: str
    projector: str
    registration: str


PAIR_COLUMNS = columns_of(PairRow)


class CellKey(NamedTuple):
    """Which cell of one table."""

    run: Run
    estimate: str
    variant: str
    metric: str


def key_of(cell: Cell) -> CellKey:
    """The name of a cell."""
    return CellKey(cell.run, cell.estimate, *cell.metric)


@dataclass(frozen=True, kw_only=True)
class Compared:
    """Of one table: its pairs, in words what each cell is against the chosen method, and the best cells.

    A cell is the best where its method is shown to be better than every other of its column.
    """

    rows: tuple[PairRow, ...]
    words: Mapping[CellKey, str]
    best: frozenset[CellKey]


def compare(cells: Sequence[Cell], layout: TableLayout, plan: TablePlan) -> Compared:
    """Compare the ``cells`` of one table, metric by metric within each setting."""
    columns: dict[tuple[str, ...], list[Cell]] = {}
    for cell in cells:
        columns.setdefault((cell.run.dataset, cell.run.setting, *cell.metric), []).append(cell)
    rows: list[PairRow] = []
    words: dict[CellKey, str] = {}
    best: set[CellKey] = set()
    for members in columns.values():
        least = _least_variance(members, plan)
        references = _references(members, plan)
        several_ways = len({cell.run.learning for cell in references}) > 1
        for reference in references:
            name = _called(reference, several_ways=several_ways)
            words.setdefault(key_of(reference), f"the others are compared with {name}")
            judged = _judge(_comparable(members, reference, plan), reference, plan, least)
            for cell, found in judged:
                words.setdefault(key_of(cell), _in_words(found.verdict, name))
                rows.append(_pair_row(cell, found, reference, len(judged), layout, plan))
        best.update(map(key_of, _best(members, plan, least)))
    return Compared(rows=tuple(rows), words=words, best=frozenset(best))


def _references(cells: Sequence[Cell], plan: TablePlan) -> list[Cell]:
    """The runs of the chosen method, single samples before means."""
    found = [cell for cell in cells if cell.run.method == plan.reference]
    return sorted(found, key=lambda cell: (cell.run.learning, cell.estimate != SINGLE, cell.estimate))


def _called(reference: Cell, *, several_ways: bool) -> str:
    run = reference.run
    return f"{run.method} ({run.learning})" if several_ways else run.method


def _in_words(found: Verdict, name: str) -> str:
    words = {
        UNCLEAR: f"no difference to {name} shown",
        SAME: f"equal to {name}",
        UNTESTED: f"difference to {name} not testable",
    }
    text = words.get(found.word, f"{found.word} than {name}")
    return f"{text}: {found.reason}" if found.reason else text


def _comparable(cells: Sequence[Cell], reference: Cell, plan: TablePlan) -> list[Cell]:
    """Cells of other methods that learned in the same way, if they learn, one estimate of each.

    A mean of samples is compared with means, and with what restores without sampling; single samples
    with single ones.
    """
    ways = [
        cell
        for cell in cells
        if cell.run.method != plan.reference
        and (
            cell.run.learning == reference.run.learning
            or not {cell.run.method, reference.run.method} <= {*plan.trained}
        )
    ]
    single = reference.estimate == SINGLE
    samples = {cell.run for cell in ways if cell.estimate != SINGLE}
    drawn = any(cell.run == reference.run and cell.estimate != reference.estimate for cell in cells)
    if single and not drawn:
        return ways  # the reference does not sample: it is itself compared with both
    return [cell for cell in ways if (cell.estimate == SINGLE) == (single or cell.run not in samples)]


def _judge(
    cells: Sequence[Cell], reference: Cell, plan: TablePlan, least: float
) -> list[tuple[Cell, Judged]]:
    """Each of ``cells`` minus ``reference``, one family of tests.

    The variance between trainings is no less than ``least``. What is defined in no slice of the
    reference is left out.
    """
    cells = [cell for cell in cells if len(cell.found.with_slices_of(reference.found)[0].keys)]
    pairs = [_paired(cell, reference, plan, least) for cell in cells]
    judged = judge(pairs, better=reference.better, confidence=plan.evaluation.confidence)
    return list(zip(cells, judged, strict=True))


def _paired(found: Cell, reference: Cell, plan: TablePlan, least: float) -> PairedDifference:
    common = found.found.with_slices_of(reference.found)
    measured = (
        Measured(
            method=cell.run.method,
            values=values.by_subject,
            trained=cell.run.method in plan.trained,
            least_variance=least,
        )
        for cell, values in zip((found, reference), common, strict=True)
    )
    return paired_difference(*measured, confidence=plan.evaluation.confidence)


def _least_variance(cells: Sequence[Cell], plan: TablePlan) -> float:
    """Variance between trainings, pooled over the networks of a column."""
    return pooled_between_trainings(
        cell.found.by_subject for cell in cells if cell.run.method in plan.trained
    )


def _best(cells: Sequence[Cell], plan: TablePlan, least: float) -> list[Cell]:
    """The cell that is shown to be better than all others, if one is."""
    better = cells[0].better
    if better == 0 or len(cells) < 2 or len(cells[0].found.names) < LEAST_SUBJECTS:
        return []
    best = max(cells, key=lambda cell: better * float(cell.found.by_subject.mean()))
    others = [cell for cell in cells if cell is not best]
    against = _judge(others, best, plan, least)
    # The others minus the best: each must be worse, which is to say the best better than each.
    shown = [found for _, found in against if found.verdict.word == WORSE]
    return [best] if len(shown) == len(others) else []


def _pair_row(
    cell: Cell, found: Judged, reference: Cell, compared: int, layout: TableLayout, plan: TablePlan
) -> PairRow:
    pair = found.pair
    low, high = ends(pair.interval)
    total_low, total_high = ends(pair.total_interval)
    subjects = cell.found.with_slices_of(reference.found)[0].names
    named = {name: value for name, value in cell.names.items() if name != "setting"}
    return PairRow(
        table=layout.table,
        setting=layout.setting_in_table(cell.run.setting, plan.published_settings),
        compared_with=reference.run.method,
        compared_learning=reference.run.learning,
        compared_estimate=reference.estimate,
        difference=pair.mean,
        ci_low=low,
        ci_high=high,
        total_ci_low=total_low,
        total_ci_high=total_high,
        p=pair.p,
        p_holm=found.p_holm,
        total_p=pair.total_p,
        total_p_holm=found.total_p_holm,
        cohens_dz=pair.cohens_dz,
        hedges_gz=pair.hedges_gz,
        wilcoxon_p=pair.wilcoxon_p,
        wilcoxon_p_holm=found.wilcoxon_p_holm,
        wilcoxon=wilcoxon_reason(pair, family=compared, confidence=plan.evaluation.confidence),
        verdict=found.verdict.word,
        reason=found.verdict.reason,
        n_compared=compared,
        n_subjects=pair.subjects,
        subjects_above=sum(value > 0 for value in pair.by_subject),
        n_replicates=cell.found.values.shape[1],
        n_replicates_compared=reference.found.values.shape[1],
        subject_differences=by_subject(subjects, pair.by_subject),
        protocol=plan.protocol,
        **named,
    )
