"""Steps that restore with a wrong T1, and say what that costs."""

from __future__ import annotations

from quietpet.jobs.robustness import RobustnessJob, RobustnessTableJob
from quietpet.steps.shared_files import PROVENANCE, SECTION, SVG, TO_RESTORE
from quietpet.steps.step import NamedFile, Step

ROBUSTNESS = Step(
    name="robustness",
    job=RobustnessJob,
    inputs=TO_RESTORE,
    outputs=(NamedFile("scores", "CSV: metrics of each slice with each wrong T1"), PROVENANCE),
)

ROBUSTNESS_TABLE = Step(
    name="robustness_table",
    job=RobustnessTableJob,
    inputs=(
        NamedFile("robustness", "CSV of `robustness` of each method that looks at T1", several=True),
        NamedFile("scores", "CSV of `score` of each method that never does", several=True),
    ),
    outputs=(
        NamedFile("table", "CSV: what each wrong T1 costs each method"),
        SECTION,
        NamedFile("figure", "PNG: the same"),
        SVG,
        PROVENANCE,
    ),
)
