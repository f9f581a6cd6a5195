"""A study whose learning rates are chosen, with a row of equal time, from data to tables."""

from __future__ import annotations

import csv
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

pytestmark = pytest.mark.workflow

UNET = {"kind": "unet", "inputs": ["low"], "features": [4, 4, 8, 8, 8, 4]}


def snakemake(repository, folder, *arguments):
    command = [sys.executable, "-m", "snakemake", "--snakefile", str(repository / "Snakefile")]
    done = subprocess.run(
        [*command, "--cores", "2", "--directory", str(folder), *map(str, arguments)],
        env={**os.environ, "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


def test_chosen_rates_and_equal_time_reach_the_tables(repository, tmp_path):
    raw = yaml.safe_load((repository / "workflow/configs/tiny.yaml").read_text())
    raw["training"] |= {
        "iterations": 4,
        "validate_every": 2,
        "learning_rate_trials": {"factors": [0.3, 1], "iterations": 2},
    }
    raw["methods"] = {"lpet": {}, "unet": UNET, "unet_long": {**UNET, "cost_of": "unet"}}
    raw["training_costs"] = {"unet": 30, "unet_long": 20}
    config = tmp_path / "config.yaml"
    config.write_text(yaml.safe_dump(raw))
    snakemake(repository, tmp_path, "results/tables.csv", "--configfile", config)

    with (tmp_path / "results/tables.csv").open(newline="") as stream:
        rows = {row["method"]: row for row in csv.DictReader(stream)}
    assert {name: row["iterations"] for name, row in rows.items()} == {
        "lpet": "-",
        "unet": "4",
        "unet_long": "6",
    }
    for name in ("unet", "unet_long"):
        tried = json.loads((tmp_path / f"results/learning_rates/phantom/low/{name}.json").read_text())
        chosen = tried["chosen"]["learning_rate"]
        assert f"; learning rate {chosen:g}, the " in rows[name]["protocol"]
        log = tmp_path / f"results/models/phantom/low/{name}/r0/training.csv"
        with log.open(newline="") as stream:
            assert {float(row["learning_rate"]) for row in csv.DictReader(stream)} == {chosen}
    assert "learning rate" not in rows["lpet"]["protocol"]
    assert "take the time of those of unet" in rows["unet_long"]["protocol"]
    assert "Nothing to be done" in snakemake(
        repository, tmp_path, "results/tables.csv", "--configfile", config
    )

    raw["training"]["learning_rate_trials"]["factors"] = [0.3, 1, 2]
    config.write_text(yaml.safe_dump(raw))
    planned = snakemake(repository, tmp_path, "results/tables.csv", "--dry-run", "--configfile", config)
    counts = dict(line.split()[:2] for line in planned.splitlines() if len(line.split()) == 2)
    assert (counts["learning_rate"], counts["fit"]) == ("2", "2")
    assert not {"simulate", "pack", "thin"} & set(counts)
