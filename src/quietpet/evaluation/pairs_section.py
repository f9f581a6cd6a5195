"""What the report shows of paired differences."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby

from quietpet.evaluation.effects import LEAST_SUBJECTS
from quietpet.evaluation.layouts import layouts
from quietpet.evaluation.paired import least_wilcoxon_subjects
from quietpet.evaluation.pairs import PairRow
from quietpet.evaluation.pairs_sentences import summary_sentences
from quietpet.evaluation.pairs_tables import (
    component_tables,
    pair_tables,
    published_tables,
    subject_tables,
)
from quietpet.evaluation.table_plan import TablePlan
from quietpet.evaluation.tables import TableRow
from quietpet.evaluation.told import title_of, warnings_of
from quietpet.files.sections import Section


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
            *pair_tables(pairs, titles),
            *subject_tables(rows, titles),
            *component_tables(rows, titles),
            *published_tables(rows, titles),
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
