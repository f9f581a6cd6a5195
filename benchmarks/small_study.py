"""A study of half a minute, and how it is run: what benchmarks of the whole workflow share."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

REPOSITORY = Path(__file__).parents[1]
TINY = REPOSITORY / "workflow/configs/tiny.yaml"
TARGET = "results/tables.csv"


def small_study() -> dict[str, Any]:
    """`workflow/configs/tiny.yaml` with two methods: none at all, and a small network."""
    study = yaml.safe_load(TINY.read_text())
    network = {**study["methods"]["unet"], "features": [4, 4, 8, 8, 8, 4]}
    del network["pet_only_of"]
    trials = {"factors": [1, 3], "iterations": 2}
    return {
        **study,
        "methods": {"lpet": {}, "unet": network},
        "training": {**study["training"], "validate_every": 2, "learning_rate_trials": trials},
    }


def written(study: Mapping[str, Any], path: Path) -> Path:
    """The configuration ``study`` as a file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(yaml.safe_dump(dict(study), sort_keys=False))
    return path


def command(configuration: Path, folder: Path, *options: str, cores: int = 2) -> list[str]:
    """Snakemake on ``folder``; ``options`` end with its targets."""
    return [
        *(sys.executable, "-m", "snakemake", "--snakefile", str(REPOSITORY / "Snakefile")),
        *("--cores", str(cores), "--configfile", str(configuration), "--directory", str(folder)),
        *options,
    ]


def environment(changes: Mapping[str, str] | None = None) -> dict[str, str]:
    """That of a run: rules call `quietpet`, which lies beside this interpreter; no volumes, no GPU."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    kept = {name: value for name, value in os.environ.items() if name != "QUIETPET_BRAINWEB"}
    return {**kept, "PATH": path, "QUIETPET_DEVICE": "cpu", **(changes or {})}


def run(
    configuration: Path,
    folder: Path,
    *options: str,
    cores: int = 2,
    changes: Mapping[str, str] | None = None,
) -> None:
    """Run Snakemake to its end; what it says is shown where it fails."""
    done = subprocess.run(
        command(configuration, folder, *options, cores=cores),
        env=environment(changes),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    if done.returncode:
        raise SystemExit(done.stdout)


def tables_of(folder: Path) -> dict[str, bytes]:
    """The tables of a study and the scores behind them, by their paths in its results."""
    results = folder / "results"
    found = [
        *results.glob("*.csv"),
        *results.glob("*.md"),
        *results.glob("scores/**/*.csv"),
    ]
    return {str(path.relative_to(results)): path.read_bytes() for path in sorted(found)}
