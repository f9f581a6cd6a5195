"""Steps that project run in an image with SIRF, and no others. A command stands for Apptainer."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest
import yaml
from workflow_runs import snakemake

pytestmark = pytest.mark.workflow

COMMAND = f"""#!{sys.executable}
# In place of Apptainer: says which image is asked for, and runs the command here.
import os, sys
if "--version" in sys.argv:
    print("apptainer version 1.3.0")
else:
    shell = sys.argv.index("-c")
    with open(os.environ["ASKED"], "a") as notes:
        step = sys.argv[shell + 1].split("quietpet ")[1].split()[0]
        notes.write(f"{{sys.argv[shell - 2]}}\\t{{step}}\\n")
    os.execvp(sys.argv[shell - 1], sys.argv[shell - 1:])
"""


@pytest.fixture
def small(configuration, tmp_path) -> Path:
    """The tiny study with two methods, of which one reconstructs."""
    methods = {name: configuration["methods"][name] for name in ("lpet", "bowsher")}
    path = tmp_path / "small.yaml"
    path.write_text(yaml.safe_dump({**configuration, "methods": methods}))
    return path


def test_steps_that_project_run_in_the_image_and_no_others(repository, small, study, tmp_path):
    """Where a study was made without an image, they all run again; phantoms stay."""
    phantoms = {path: path.stat().st_mtime_ns for path in study.glob("results/phantoms/*/*.h5")}
    (tmp_path / "apptainer").write_text(COMMAND)
    (tmp_path / "apptainer").chmod(0o755)
    (tmp_path / "sirf.sif").touch()
    asked = tmp_path / "asked.tsv"
    snakemake(
        repository, *options(small, study), "--sdm", "apptainer",
        QUIETPET_SIRF_IMAGE=str(tmp_path / "sirf.sif"), ASKED=str(asked),
        PATH=f"{tmp_path}{os.pathsep}{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
    )  # fmt: skip
    notes = [line.split("\t") for line in asked.read_text().splitlines()]
    assert {image for image, _ in notes} == {str(tmp_path / "sirf.sif")}
    # Two doses of three heads; bowsher, which alone reconstructs, is tuned and restores.
    assert sorted(step for _, step in notes) == ["fit", "restore", *["simulate"] * 6]
    assert phantoms
    assert all(path.stat().st_mtime_ns == then for path, then in phantoms.items())


def options(configuration: Path, folder: Path):
    return ("--configfile", configuration, "--directory", folder, "results/tables.csv")


def test_an_image_that_nothing_would_run_in_is_refused(repository, small, tmp_path):
    said = snakemake(
        repository, *options(small, tmp_path), "--dry-run", check=False, QUIETPET_SIRF_IMAGE="sirf.sif"
    )
    assert "QUIETPET_SIRF_IMAGE='sirf.sif', but only Snakemake's --sdm apptainer" in said


def test_an_image_that_is_not_there_is_refused(repository, small, tmp_path):
    said = snakemake(
        repository, *options(small, tmp_path), "--dry-run", "--sdm", "apptainer",
        check=False, QUIETPET_SIRF_IMAGE="elsewhere/sirf.sif",
    )  # fmt: skip
    assert "QUIETPET_SIRF_IMAGE='elsewhere/sirf.sif' is no file" in said
