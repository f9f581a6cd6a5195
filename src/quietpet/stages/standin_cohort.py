"""Stage ``standin_cohort``: the files at the top of a simulated in-vivo data set."""

from __future__ import annotations

from quietpet.files.named import Files
from quietpet.files.text import write_json, write_text
from quietpet.jobs.standin import StandinCohortJob
from quietpet.standin.layout import (
    dataset_description,
    ignored,
    participants_sidecar,
    participants_table,
    readme,
)


def run(job: StandinCohortJob, inputs: Files, outputs: Files) -> None:
    """Write ``description``, ``readme``, ``participants``, ``participants_json`` and ``ignored``."""
    columns, rows = participants_table(job.settings)
    lines = ["\t".join(columns), *("\t".join(row.values()) for row in rows)]
    write_text(outputs.one("participants"), "\n".join(lines) + "\n")
    write_json(outputs.one("participants_json"), participants_sidecar(columns))
    write_json(outputs.one("description"), dataset_description(job.cohort, job.settings))
    write_text(outputs.one("readme"), readme(job.cohort, job.settings, job.scan))
    write_text(outputs.one("ignored"), ignored(job.settings))
