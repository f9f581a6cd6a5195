"""Stage detection: ratings of all methods -> areas under ROC curves, a section and a figure."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from quietpet.errors import InputError, reading, replacing
from quietpet.evaluation.detection import (
    DETECTION_COLUMNS,
    STANDARD,
    DetectionPlan,
    detection_rows,
)
from quietpet.evaluation.detection_figure import draw_detection
from quietpet.evaluation.detection_section import detection_section
from quietpet.evaluation.drawing import save
from quietpet.evaluation.ratings import RATING_COLUMNS, places_of, rating_rows
from quietpet.files.named import Files
from quietpet.files.realisations import Realisations
from quietpet.files.records import read_record
from quietpet.files.sections import write_section
from quietpet.files.text import write_csv, write_json
from quietpet.jobs.detection import DetectionJob
from quietpet.provenance import Stopwatch, provenance

_NUMBERS = {
    **dict.fromkeys(("slice_index", "lesion", "half", "present", "case"), int),
    **dict.fromkeys(("radius_mm", "contrast", "rating"), float),
}


def run(job: DetectionJob, inputs: Files, outputs: Files) -> None:
    """Read ``ratings`` of every method and ``test``; write ``table``, ``section``, ``png`` and ``svg``.

    ``test`` are the realisations, whose standard dose is read here, too. ``provenance`` is written if
    asked for.
    """
    watch = Stopwatch()
    plan = DetectionPlan(
        methods=job.methods,
        compare_with=job.compare_with,
        confidence=job.confidence,
        observers=job.channels.describe(),
        protocol=job.protocol,
    )
    ratings = pd.concat(
        [
            *(_read(path) for path in inputs.many("ratings")),
            *(_standard_dose(path, job) for path in inputs.many("test")),
        ],
        ignore_index=True,
    )
    rows = detection_rows(ratings, plan)
    write_csv(outputs.one("table"), DETECTION_COLUMNS, (row.cells() for row in rows))
    write_section(outputs.one("section"), detection_section(rows, confidence=job.confidence))
    save(draw_detection(rows), png=outputs.one("png"), svg=outputs.one("svg"))
    if sidecar := outputs.get("provenance"):
        write_json(
            sidecar,
            provenance("detection", settings=job.model_dump(), inputs=inputs.all(), watch=watch),
        )


def _standard_dose(path: Path, job: DetectionJob) -> pd.DataFrame:
    held = read_record(path, Realisations)
    names = {
        "dataset": held.dataset, "setting": held.setting, "image": STANDARD, "method": "",
        "learning": "-", "replicate": "-",
    }  # fmt: skip
    rows = rating_rows({"single": held.standard}, places_of(held, job.channels))
    return pd.DataFrame([{**names, **row} for row in rows], columns=list(RATING_COLUMNS))


def _read(path: Path) -> pd.DataFrame:
    # Names such as subject "04" stay text.
    types = {column: _NUMBERS.get(column, str) for column in RATING_COLUMNS}
    with reading(path, "not a readable file of ratings"):
        ratings = pd.read_csv(path, dtype=types, keep_default_na=False)
    if tuple(ratings.columns) != RATING_COLUMNS:
        raise InputError(f"{path}: its columns are not those of ratings: {list(ratings.columns)}.")
    if ratings.empty:
        raise InputError(f"{path}: holds no ratings. {replacing(path)}")
    return ratings
