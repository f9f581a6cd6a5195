"""Made-up score files of everything that a study scores, and the tables that are made of them."""

from __future__ import annotations

import csv
from pathlib import Path

from quietpet.evaluation.comparison import PAPER
from quietpet.evaluation.metrics import METRICS
from quietpet.evaluation.scoring import SCORE_COLUMNS
from quietpet.files.named import Files
from quietpet.jobs.evaluation import TablesJob
from quietpet.stages import tables
from quietpet.study.data_sets import Scored
from quietpet.study.root import Study
from quietpet.study.select import settings_for

SCORED = [metric for metric in METRICS if metric.variant is PAPER or metric.name == "psnr_db"]
"""Enough for a page, and drawn."""


def origin_of(study: Study, dataset: str) -> tuple[str, str, str]:
    """Data source, projector and registration."""
    if dataset in study.simulated:
        return "brainweb", "embedded", "-"
    source = study.in_vivo.sources[study.scanned[dataset].cohort.source]
    return source.data[-1], "-", "embedded"


def named(study: Study, run: Scored) -> tuple[str, str, str, str]:
    """Data set, setting, method and how it learned, as score files have them."""
    word = study.data_sets[run.dataset].learning_word(run.method, run.regime)
    return run.dataset, run.setting, run.method, word


def write_scores(study: Study, folder: Path) -> list[Path]:
    """A score file of one slice for everything that ``study`` scores."""
    paths = []
    for number, run in enumerate(study.scored):
        names = (*named(study, run), run.replicate, "single")
        origin = origin_of(study, run.dataset)
        paths.append(folder / f"{number}.csv")
        with paths[-1].open("w", newline="") as stream:
            writer = csv.writer(stream)
            writer.writerow(SCORE_COLUMNS)
            for metric in SCORED:
                place = ("06", "06_s70_r0", 0.0, 0.0, True, metric.name, metric.variant.name, 0.5, "")
                writer.writerow((*names, *place, *origin))
    return paths


def make_tables(study: Study, folder: Path) -> list[dict[str, str]]:
    job = TablesJob.model_validate_json(settings_for(study, "tables"))
    outputs = {name: [folder / name] for name in ("tables", "readable", "tables_section", "claim")}
    tables.run(job, Files({"scores": write_scores(study, folder)}), Files(outputs))
    with outputs["tables"][0].open(newline="") as stream:
        return list(csv.DictReader(stream))


def lost(study: Study, rows: list[dict[str, str]]) -> set[tuple[str, ...]]:
    """What the study scores and no row shows; the published level goes by the published name."""
    published = [name for name, level in study.doses.low.items() if level.published]
    names = {"-": published[0], "ablation": published[0]} if published else {}
    shown = {
        (row["dataset"], names.get(row["setting"], row["setting"]), row["method"], row["learning"])
        for row in rows
    }
    return {named(study, run) for run in study.scored} - shown
