"""Stage sampling: the plans of all methods -> a table, a page to read and a figure."""

from __future__ import annotations

from quietpet.evaluation.sampling import SAMPLING_COLUMNS, plan_of, render_sampling
from quietpet.evaluation.sampling_figure import draw_sampling
from quietpet.files.atomic import atomic_path
from quietpet.files.named import Files
from quietpet.files.text import read_json, write_csv, write_text
from quietpet.jobs.methods import SamplingJob


def run(job: SamplingJob, inputs: Files, outputs: Files) -> None:
    """Read ``plan`` of every method; write ``table`` (CSV), ``readable`` and ``figure``."""
    plans = [plan_of(read_json(path)) for path in inputs.many("plan")]
    write_csv(
        outputs.one("table"), SAMPLING_COLUMNS, (row.cells() for plan in plans for row in plan.rows)
    )
    write_text(outputs.one("readable"), render_sampling(plans) + "\n")
    with atomic_path(outputs.one("figure")) as partial:
        draw_sampling(plans).savefig(partial, format="png", dpi=150)
