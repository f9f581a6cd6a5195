"""A data set of one's own, simulated or of scans, is one entry of the configuration."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from made_up_scores import make_tables

from quietpet.config.datasets import SPLITS
from quietpet.study.reading import load_study, read_yaml
from quietpet.study.root import Study
from quietpet.study.select import settings_for

LEVEL = {"counts": 5e7, "psf_fwhm_mm": 4.0, "iterations": 4, "subsets": 14}
ENTRIES = {
    # Participants and a window that other data sets use.
    "scans": ("invivo", "datasets", {
        "source": "rspetmr",
        "splits": {"train": ["01"], "validation": ["03"], "test": ["06"]},
        "settings": {"faint": {"window": "16s"}},
        "regimes": ["external"],
    }),
    "simulated": ("domains", None, {
        "doses": {"standard": {**LEVEL, "counts": 5e9}, "low": {"faint": LEVEL}},
    }),
}  # fmt: skip


def with_entry(raw: dict[str, Any], kind: str) -> dict[str, Any]:
    """The configuration with one more data set, called mine."""
    section, key, entry = ENTRIES[kind]
    changed = copy.deepcopy(raw)
    place = changed.setdefault(section, {})
    (place[key] if key else place)["mine"] = entry
    return changed


def jobs_of(study: Study) -> Iterator[tuple[str, dict[str, str]]]:
    """Step and names of every job but those of the study as a whole."""
    for name, dataset in study.simulated.items():
        view = dataset.study
        for subject in view.splits.subjects:
            names = {"dataset": name, "subject": subject}
            yield from ((step, names) for step in ("phantom", "slices"))
            for dose in view.doses.levels:
                yield from ((step, {**names, "dose": dose}) for step in ("simulate", "reconstruct"))
    for source, participant in study.in_vivo.scans:
        names = {"source": source, "participant": participant}
        yield from ((step, names) for step in ("fetch_invivo", "import_scan"))
    for dataset in study.data_sets.values():
        for setting in dataset.settings:
            names = {"dataset": dataset.name, "setting": setting}
            step = "pack" if dataset.kind == "simulated" else "pack_scans"
            yield from ((step, {**names, "split": split}) for split in SPLITS)
        for run in dataset.scored:
            yield from ((step, run._asdict()) for step in ("restore", "score"))
            if not run.regime:
                names = {name: value for name, value in run._asdict().items() if name != "regime"}
                yield "fit", names


def settings_of(study: Study) -> dict[str, str]:
    return {f"{step} {names}": settings_for(study, step, **names) for step, names in jobs_of(study)}


@pytest.fixture(scope="module")
def small(repository: Path) -> dict[str, Any]:
    """The small study, with networks that need no long figure."""
    raw = read_yaml(repository / "config.yaml")
    methods = {name: raw["methods"][name] for name in ("lpet", "gaussian", "munet_concat")}
    invivo = {**raw["invivo"], "without": []}
    datasets = {"ood2": raw["invivo"]["datasets"]["ood2"]}
    return {
        **raw, "methods": methods, "invivo": {**invivo, "datasets": datasets}, "replicates": 1,
        "learning": {**raw["learning"], "compared": None},
    }  # fmt: skip


@pytest.mark.parametrize("kind", ENTRIES)
def test_a_data_set_is_one_entry_and_adds_its_own_jobs(small: dict[str, Any], kind: str) -> None:
    before = settings_of(load_study(small, origin=""))
    after = settings_of(load_study(with_entry(small, kind), origin=""))
    assert {name: after[name] for name in before} == before
    added = {name.split()[0] for name in after.keys() - before.keys()}
    own = {
        "scans": {"pack_scans", "fit", "restore", "score"},
        "simulated": {
            "phantom", "slices", "simulate", "reconstruct", "pack", "fit", "restore", "score",
        },
    }  # fmt: skip
    assert added == own[kind]
    assert all("'mine'" in name for name in after.keys() - before.keys())


@pytest.mark.parametrize("kind", ENTRIES)
def test_its_rows_stand_in_a_table_of_its_name(small: dict[str, Any], tmp_path: Path, kind: str) -> None:
    study = load_study(with_entry(small, kind), origin="")
    rows = [row for row in make_tables(study, tmp_path) if row["table"] == "mine"]
    learned = {(row["method"], row["learning"]) for row in rows}
    regimes = ["external"] if kind == "scans" else study.learning.regimes
    assert learned == {
        ("lpet", "-"), ("gaussian", "internal"), *(("munet_concat", regime) for regime in regimes),
    }  # fmt: skip
    assert {row["dataset"] for row in rows} == {"mine"}
