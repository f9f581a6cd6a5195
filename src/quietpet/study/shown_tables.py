"""Which tables a study has rows of, known before anything is scored."""

from __future__ import annotations

import pandas as pd

from quietpet.evaluation.tables import TablePlan, layouts, shown_in
from quietpet.study.root import Study
from quietpet.study.select_tables import tables_job


def tables_of(study: Study) -> tuple[str, ...]:
    """The tables that show something of what is scored, in their order."""
    scored = pd.DataFrame(
        [
            {
                "dataset": run.dataset,
                "setting": run.setting,
                "method": run.method,
                "learning": study.data_sets[run.dataset].learning_word(run.method, run.regime),
            }
            for run in study.scored
        ]
    )
    plan = TablePlan(**dict(tables_job(study)))
    return tuple(
        layout.table for layout in layouts(plan.datasets) if shown_in(scored, layout, plan).any()
    )
