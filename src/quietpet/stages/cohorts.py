"""Stage cohorts: regional activity of all methods -> regional bias and effects, a section and a "
"figure."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import pandas as pd

from quietpet.errors import InputError, reading, replacing
from quietpet.evaluation.cohort_rows import BIAS_COLUMNS, EFFECT_COLUMNS, CohortPlan
from quietpet.evaluation.cohorts import assemble_cohorts
from quietpet.evaluation.cohorts_figure import draw_cohorts
from quietpet.evaluation.cohorts_section import cohorts_section
from quietpet.evaluation.drawing import save
from quietpet.evaluation.regions import REGION_COLUMNS
from quietpet.files.named import Files
from quietpet.files.sections import write_section
from quietpet.files.text import write_csv, write_json
from quietpet.jobs.evaluation import CohortsJob
from quietpet.provenance import Stopwatch, provenance

_NUMBERS = {
    **dict.fromkeys(("label", "pixels"), int),
    **dict.fromkeys(("restored", "low", "standard", "truth"), float),
}


def run(job: CohortsJob, inputs: Files, outputs: Files) -> None:
    """Read ``regions``; write ``bias``, ``effects`` (CSV), ``section``, ``figure``, ``svg``, "
    "``provenance``."""
    watch = Stopwatch()
    plan = CohortPlan(**dict(job))
    bias, effects = assemble_cohorts(_read(inputs.many("regions")), plan=plan)
    write_csv(outputs.one("bias"), BIAS_COLUMNS, (row.cells() for row in bias))
    write_csv(outputs.one("effects"), EFFECT_COLUMNS, (row.cells() for row in effects))
    figure = outputs.one("figure")
    save(draw_cohorts(effects), png=figure, svg=outputs.get("svg"))
    write_section(outputs.one("section"), cohorts_section(bias, effects, plan=plan, figure=figure.name))
    if sidecar := outputs.get("provenance"):
        write_json(
            sidecar,
            provenance("cohorts", settings=job.model_dump(), inputs=inputs.all(), watch=watch),
        )


def _read(paths: Iterable[Path]) -> pd.DataFrame:
    return pd.concat([_read_file(path) for path in paths], ignore_index=True)


def _read_file(path: Path) -> pd.DataFrame:
    # Names such as subject "04" stay text; scans have no truth.
    types = {column: _NUMBERS.get(column, str) for column in REGION_COLUMNS}
    with reading(path, "not a readable file of regional activity"):
        regions = pd.read_csv(path, dtype=types, keep_default_na=False, na_values={"truth": [""]})
    if tuple(regions.columns) != REGION_COLUMNS:
        raise InputError(
            f"{path}: its columns are not those of regional activity: {list(regions.columns)}."
        )
    if regions.empty:
        raise InputError(f"{path}: holds no regions. {replacing(path)}")
    return regions
