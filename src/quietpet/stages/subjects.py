"""Stage subjects: measures of whole subjects, restored by every method -> a table and a section."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import pandas as pd

from quietpet.errors import InputError, reading, replacing
from quietpet.evaluation.subjects_section import subjects_section
from quietpet.evaluation.subjects_table import (
    SUBJECTS_TABLE_COLUMNS,
    SubjectsPlan,
    subjects_rows,
)
from quietpet.evaluation.whole_subjects import SUBJECT_COLUMNS
from quietpet.files.named import Files
from quietpet.files.sections import write_section
from quietpet.files.text import write_csv, write_json
from quietpet.jobs.subjects import SubjectsJob
from quietpet.provenance import Stopwatch, provenance


def run(job: SubjectsJob, inputs: Files, outputs: Files) -> None:
    """Read ``subjects`` of every restoration; write ``table`` (CSV), ``section`` and ``provenance``."""
    watch = Stopwatch()
    rows = subjects_rows(_read(inputs.many("subjects")), SubjectsPlan(**dict(job)))
    write_csv(outputs.one("table"), SUBJECTS_TABLE_COLUMNS, (row.cells() for row in rows))
    write_section(outputs.one("section"), subjects_section(rows, confidence=job.confidence))
    if sidecar := outputs.get("provenance"):
        write_json(
            sidecar,
            provenance("subjects", settings=job.model_dump(), inputs=inputs.all(), watch=watch),
        )


def _read(paths: Iterable[Path]) -> pd.DataFrame:
    return pd.concat([_read_file(path) for path in paths], ignore_index=True)


def _read_file(path: Path) -> pd.DataFrame:
    # Names such as subject "04" stay text.
    types = {column: {"value": float, "count": int}.get(column, str) for column in SUBJECT_COLUMNS}
    with reading(path, "not a readable file of whole subjects"):
        found = pd.read_csv(path, dtype=types, keep_default_na=False, na_values={"value": [""]})
    if tuple(found.columns) != SUBJECT_COLUMNS:
        raise InputError(f"{path}: its columns are not those of whole subjects: {list(found.columns)}.")
    if found.empty:
        raise InputError(f"{path}: holds no subjects. {replacing(path)}")
    return found
