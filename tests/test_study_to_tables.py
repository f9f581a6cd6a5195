"""From a configuration to its tables: whatever a study restores has a row, whatever its data are called.

Scores are made up, one file for everything that the study scores; the last step is the real one.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from made_up_scores import lost, make_tables

from quietpet.study.reading import load_study, read_yaml

LEVEL = {"counts": 5e7, "psf_fwhm_mm": 4.0, "iterations": 4, "subsets": 14}
DOMAIN = {"doses": {"standard": {**LEVEL, "counts": 5e9}, "low": {"faint": LEVEL}}}
METHODS = {"lpet": {}, "gaussian": {}, "unet": {"inputs": ["low"]}}
LEARNING = {
    "stages": {
        "external": {"data": ["phantom/low"]},
        "internal": {"data": ["own"], "iterations": 6},
        "mixed": {"data": ["phantom/low", "own"]},
    },
    "regimes": {
        "external": ["external"],
        "external_internal": ["external", "internal"],
        "mixed": ["mixed"],
    },
}
ONE_REGIME = {**LEARNING, "regimes": {"external": ["external"]}}
MINE = {
    "source": "mine",
    "splits": {"train": ["01"], "validation": ["02"], "test": ["03"]},
    "settings": {"16s": {"window": "16s"}},
    "regimes": ["external"],
}
SCANS = {
    "sources": {
        "mine": {"kind": "folder", "root": "/data/mine"},
        "monash": {"kind": "openneuro", "accession": "ds002898"},
    },
    "windows": {"low": {"16s": {"frames": 1, "start_minutes": 45}}},
    "datasets": {"mine": MINE},
}


def scans(**datasets: dict[str, Any]) -> dict[str, Any]:
    return {**SCANS, "datasets": {name: {**MINE, **changes} for name, changes in datasets.items()}}


STUDIES = {
    "one regime, scans": {"invivo": SCANS, "learning": LEARNING},
    "one regime in all, scans": {
        "invivo": scans(mine={"regimes": None}), "learning": ONE_REGIME,
    },
    "one regime, simulated": {"domains": {"other": DOMAIN}, "learning": ONE_REGIME},
    "nothing that learns in stages": {
        "domains": {"other": DOMAIN}, "invivo": SCANS, "learning": LEARNING,
        "methods": {"lpet": {}, "gaussian": {}},
    },
    "one setting with one regime beside one with all": {
        "invivo": scans(
            mine={
                "settings": {"16s": {"window": "16s", "regimes": ["mixed"]}, "all": {"window": "16s"}},
                "regimes": None,
            }
        ),
        "learning": LEARNING,
    },
    "published scans under another regime than published": {
        "invivo": scans(ood1={"source": "monash", "regimes": ["mixed"]}, ood2={"source": "monash"}),
        "learning": LEARNING,
    },
    "all regimes for all kinds of data": {
        "domains": {"other": DOMAIN},
        "invivo": scans(mine={"regimes": None}, ood1={"source": "monash", "regimes": None}),
        "learning": LEARNING,
    },
    "simulated data that are called as published scans": {
        "domains": {"ood1": DOMAIN}, "learning": LEARNING,
    },
}  # fmt: skip


@pytest.fixture(scope="module")
def tiny(repository: Path) -> dict[str, Any]:
    return {**read_yaml(repository / "workflow/configs/tiny.yaml"), "methods": METHODS}


@pytest.mark.parametrize("case", STUDIES)
def test_data_of_ones_own_end_in_the_tables(tiny: dict[str, Any], tmp_path: Path, case: str) -> None:
    raw = yaml.safe_load(yaml.safe_dump({**tiny, **STUDIES[case]}))
    study = load_study(raw, origin=case)
    rows = make_tables(study, tmp_path)
    assert lost(study, rows) == set()
    tables_of = {row["dataset"]: set() for row in rows}
    for row in rows:
        tables_of[row["dataset"]].add(row["table"])
    assert {*tables_of} == {*study.data_sets}
    for name, dataset in study.data_sets.items():
        numbered = name == "phantom" or (name.startswith("ood") and dataset.kind == "scanned")
        assert (name in tables_of[name]) != numbered


def test_everything_that_the_published_protocol_in_vivo_scores_has_a_row(
    repository: Path, tmp_path: Path
) -> None:
    """Scans of two OpenNeuro data sets, each under every regime, are compared in one Table 6."""
    raw = read_yaml(repository / "workflow/configs/invivo.yaml")
    changes = {"methods": {"unet": METHODS["unet"]}}
    changes["learning"] = {**raw["learning"], "compared": None}
    study = load_study({**raw, **changes, "replicates": 1}, origin="invivo.yaml")
    rows = make_tables(study, tmp_path)
    assert lost(study, rows) == set()
    sources = {row["data_source"] for row in rows if row["table"] == "6"}
    assert sources == {"ds002898", "ds003397"}
