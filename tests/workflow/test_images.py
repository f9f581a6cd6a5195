"""Steps that project run in an image with SIRF, and no others. A command stands for Apptainer."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

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
def study(repository, tmp_path) -> Path:
    small = yaml.safe_load((repository / "workflow/configs/tiny.yaml").read_text())
    names = ("lpet", "bowsher")
    small["methods"] = {name: small["methods"][name] for name in names}
    path = tmp_path / "study.yaml"
    path.write_text(yaml.safe_dump(small))
    return path


def run(repository, study: Path, *arguments: str, **variables: str):
    command = [
        sys.executable, "-m", "snakemake", "--snakefile", str(repository / "Snakefile"), "--cores", "2",
        "--configfile", str(study), "--directory", str(study.parent), "results/tables.csv", *arguments,
    ]  # fmt: skip
    path = f"{study.parent}{os.pathsep}{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    environment = {**os.environ, "PATH": path, **variables}
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)


def test_steps_that_project_run_in_the_image_and_no_others(repository, study, tmp_path):
    (tmp_path / "apptainer").write_text(COMMAND)
    (tmp_path / "apptainer").chmod(0o755)
    (tmp_path / "sirf.sif").touch()
    asked = tmp_path / "asked.tsv"
    done = run(
        repository, study, "--sdm", "apptainer",
        QUIETPET_SIRF_IMAGE=str(tmp_path / "sirf.sif"), ASKED=str(asked),
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    notes = [line.split("\t") for line in asked.read_text().splitlines()]
    assert {image for image, _ in notes} == {str(tmp_path / "sirf.sif")}
    # Two doses of three heads; bowsher, which alone reconstructs, is tuned and restores.
    assert sorted(step for _, step in notes) == ["fit", "restore", *["simulate"] * 6]


def test_an_image_that_nothing_would_run_in_is_refused(repository, study):
    done = run(repository, study, "--dry-run", QUIETPET_SIRF_IMAGE="sirf.sif")
    assert done.returncode
    assert (
        "QUIETPET_SIRF_IMAGE='sirf.sif', but only Snakemake's --sdm apptainer"
        in done.stdout + done.stderr
    )


def test_an_image_that_is_not_there_is_refused(repository, study):
    done = run(
        repository, study, "--dry-run", "--sdm", "apptainer", QUIETPET_SIRF_IMAGE="elsewhere/sirf.sif"
    )
    assert done.returncode
    assert "QUIETPET_SIRF_IMAGE='elsewhere/sirf.sif' is no file" in done.stdout + done.stderr
