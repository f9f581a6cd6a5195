"""Stage sampling: the plans of all methods -> a table, a section of the report and a figure."""

from __future__ import annotations

from quietpet.evaluation.drawing import save
from quietpet.evaluation.sampling import SAMPLING_COLUMNS, plan_of, sampling_section
from quietpet.evaluation.sampling_figure import draw_sampling
from quietpet.files.named import Files
from quietpet.files.sections import write_section
from quietpet.files.text import read_json, write_csv
from quietpet.jobs.methods import SamplingJob


def run(job: SamplingJob, inputs: Files, outputs: Files) -> None:
    """Read ``plan`` of every method; write ``table`` (CSV), ``section``, ``figure`` and ``svg``."""
    plans = [plan_of(read_json(path)) for path in inputs.many("plan")]
    write_csv(
        outputs.one("table"), SAMPLING_COLUMNS, (row.cells() for plan in plans for row in plan.rows)
    )
    figure = outputs.one("figure")
    save(draw_sampling(plans), png=figure, svg=outputs.get("svg"))
    write_section(outputs.one("section"), sampling_section(plans, figure=figure.name))
