"""A study whose learning rates are chosen, with a row of equal time, from data to tables."""

from __future__ import annotations

import copy
import csv
import json

import pytest
import yaml
from workflow_runs import planned_jobs, snakemake

pytestmark = pytest.mark.workflow

UNET = {"kind": "unet", "inputs": ["low"], "features": [4, 4, 8, 8, 8, 4]}


def test_chosen_rates_and_equal_time_reach_the_tables(repository, study, tmp_path, configuration):
    """On the data sets of the finished study."""
    raw = copy.deepcopy(configuration)
    raw["training"] |= {
        "iterations": 4,
        "validate_every": 2,
        "learning_rate_trials": {"factors": [0.3, 1], "iterations": 2},
    }
    raw["methods"] = {"lpet": {}, "unet": UNET, "unet_long": {**UNET, "cost_of": "unet"}}
    raw["training_costs"] = {"unet": 30, "unet_long": 20}
    config = tmp_path / "config.yaml"
    config.write_text(yaml.safe_dump(raw))
    options = ("--directory", study, "results/tables.csv", "--configfile", config)
    snakemake(repository, *options)

    with (study / "results/tables.csv").open(newline="") as stream:
        rows = {row["method"]: row for row in csv.DictReader(stream)}
    assert {name: row["iterations"] for name, row in rows.items()} == {
        "lpet": "-",
        "unet": "4",
        "unet_long": "6",
    }
    for name in ("unet", "unet_long"):
        tried = json.loads((study / f"results/learning_rates/phantom/low/{name}.json").read_text())
        chosen = tried["chosen"]["learning_rate"]
        assert f"; learning rate {chosen:g}, the " in rows[name]["protocol"]
        log = study / f"results/models/phantom/low/{name}/r0/training.csv"
        with log.open(newline="") as stream:
            assert {float(row["learning_rate"]) for row in csv.DictReader(stream)} == {chosen}
    assert "learning rate" not in rows["lpet"]["protocol"]
    assert "take the time of those of unet" in rows["unet_long"]["protocol"]
    assert "Nothing to be done" in snakemake(repository, *options)

    raw["training"]["learning_rate_trials"]["factors"] = [0.3, 1, 2]
    config.write_text(yaml.safe_dump(raw))
    jobs = planned_jobs(snakemake(repository, *options, "--dry-run"))
    assert (jobs["learning_rate"], jobs["fit"]) == (2, 2)
    assert not {"simulate", "pack", "thin"} & set(jobs)
