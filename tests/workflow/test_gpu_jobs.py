"""The plain command uses the GPUs that are there, one job on each; their number is faked.

Snakemake is real. In the jobs' place runs a command that makes their outputs and keeps a diary.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

pytestmark = pytest.mark.workflow

FAKED_TORCH = "class cuda:\n    device_count = is_available = staticmethod(lambda: {gpus})\n"
FAKED_DRIVER = "import pathlib, quietpet.gpus\nquietpet.gpus._DRIVERS = (pathlib.Path(__file__),)\n"
FAKED_JOB = """#!/bin/sh
verb=$1
echo "$verb $*" | sed 's/--settings .*--out/--out/' >> "$DIARY"
for word in "$@"; do
    case $word in *=results/*) mkdir -p "$(dirname "${word#*=}")"; touch "${word#*=}";; esac
done
if [ "$verb" = fit ]; then echo "+1" >> "$DIARY.running"; sleep 0.4; echo "-1" >> "$DIARY.running"; fi
"""


@pytest.fixture
def snakemake(repository, tmp_path):
    """Runs Snakemake on the tiny study, on a machine with so many GPUs; returns what it prints."""
    fakes, commands = tmp_path / "fakes", tmp_path / "bin"
    for folder in (fakes, commands):
        folder.mkdir()
    (fakes / "sitecustomize.py").write_text(FAKED_DRIVER)
    (commands / "quietpet").write_text(FAKED_JOB)
    (commands / "quietpet").chmod(0o755)

    def run(*arguments: object, gpus: int, succeeds: bool = True, **variables: str) -> str:
        (fakes / "torch.py").write_text(FAKED_TORCH.format(gpus=gpus))
        kept = {name: value for name, value in os.environ.items() if not name.startswith("QUIETPET_")}
        paths = [str(fakes), *filter(None, [kept.get("PYTHONPATH")])]
        done = subprocess.run(
            [
                *(sys.executable, "-m", "snakemake", "--snakefile", repository / "Snakefile"),
                *("--configfile", repository / "workflow/configs/tiny.yaml"),
                *("--directory", tmp_path, "--cores", "8", *map(str, arguments)),
            ],
            env={
                **kept,
                "PATH": f"{commands}{os.pathsep}{kept['PATH']}",
                "PYTHONPATH": os.pathsep.join(paths),
                "DIARY": str(tmp_path / "diary"),
                **variables,
            },
            capture_output=True,
            text=True,
            check=False,
        )
        assert (done.returncode == 0) == succeeds, done.stdout + done.stderr
        return done.stdout + done.stderr

    return run


def gpus_of(output: str) -> Counter[tuple[str, int]]:
    """How many jobs of a dry run of each rule ask for how many GPUs."""
    jobs = re.findall(r"^(?:rule|checkpoint) ([\w-]+):\n(?:.+\n)*?.* gpu=(\d+)", output, re.MULTILINE)
    return Counter((rule, int(gpus)) for rule, gpus in jobs)


@pytest.mark.parametrize(
    ("gpus", "options", "variables", "sentence"),
    [
        (2, (), {}, "on 2 GPUs, one job on each at a time"),
        (0, ("--resources", "gpu=3"), {}, "on 3 GPUs, one job on each at a time"),
    ],
)
def test_each_network_gets_one_of_the_gpus_that_are_there(snakemake, gpus, options, variables, sentence):
    output = snakemake("--dry-run", "results/tables.csv", *options, gpus=gpus, **variables)
    assert "Using workflow specific profile" in output
    assert output.count("Networks are trained") == 1
    assert sentence in output
    found = gpus_of(output)
    # The identity and the Gaussian filter have nothing for a GPU to do, and the former nothing to fit;
    # Bowsher's prior has.
    assert (found["fit", 0], found["restore", 0]) == (1, 2)
    assert found["fit", 1] == found["restore", 1] == 7
    assert {rule for rule, count in found if count} == {"fit", "restore"}


def test_the_longest_trainings_start_first(snakemake):
    weights = [
        f"results/models/phantom/low/{name}/r0/weights.safetensors" for name in ("mfdiff", "unet")
    ]
    output = snakemake("--dry-run", *weights, gpus=0)
    planned = r"^rule (\w+):\n(?:.+\n)*? +priority: (\d+)"
    priority = {rule: int(value) for rule, value in re.findall(planned, output, re.MULTILINE)}
    fits = sorted(
        int(value) for rule, value in re.findall(planned, output, re.MULTILINE) if rule == "fit"
    )
    assert fits[1] == 10 * fits[0] > 10 * priority["simulate"] > 0


def test_the_variable_keeps_networks_on_the_cpu(snakemake):
    output = snakemake("--dry-run", "results/tables.csv", gpus=2, QUIETPET_DEVICE="cpu")
    assert "on the CPU, as QUIETPET_DEVICE=cpu asks" in output
    assert {count for _, count in gpus_of(output)} == {0}


def test_set_resources_give_a_training_two_gpus_of_two_and_not_three(snakemake):
    fit = ("--dry-run", "results/models/phantom/low/unet/r0/weights.safetensors", "--set-resources")
    assert gpus_of(snakemake(*fit, "fit:gpu=2", gpus=2))["fit", 2] == 1
    refused = snakemake(*fit, "fit:gpu=3", gpus=2, succeeds=False)
    assert "--set-resources fit:gpu=3, but there are 2 GPUs." in refused


def test_a_cluster_lends_the_gpus_that_its_profile_names_to_networks_alone(snakemake):
    output = snakemake("--dry-run", "results/tables.csv", "--workflow-profile", "slurm", gpus=0)
    assert output.count("Networks are trained") == 1
    assert "on GPUs of the cluster, at most 4 at a time" in output
    found = gpus_of(output)
    assert (found["fit", 0], found["restore", 0]) == (1, 2)
    assert found["fit", 1] == found["restore", 1] == 7
    assert {rule for rule, count in found if count} == {"fit", "restore"}


@pytest.mark.parametrize(
    ("profile", "variables", "sentence"),
    [
        ("slurm-cpu", {}, "on CPUs of the cluster; --resources gpu=4 lends them four GPUs"),
        ("slurm", {"QUIETPET_DEVICE": "cpu"}, "on the CPU, as QUIETPET_DEVICE=cpu asks"),
    ],
)
def test_without_them_nothing_on_a_cluster_asks_for_a_gpu(snakemake, profile, variables, sentence):
    output = snakemake(
        "--dry-run", "results/tables.csv", "--workflow-profile", profile, gpus=4, **variables
    )
    assert sentence in output
    assert set(re.findall(r", gpu=(\d+)", output)) == {"0"}


@pytest.mark.parametrize("decided", [0, 1])
def test_a_job_of_a_cluster_takes_what_was_decided_for_it(snakemake, decided):
    """It reads the rules again, on a node that may have other GPUs."""
    weights = "results/models/phantom/low/unet/r0/weights.safetensors"
    lent = {"QUIETPET_GPUS_OF_A_NETWORK": str(decided)}
    output = snakemake("--dry-run", "--mode", "remote", weights, gpus=4, **lent)
    assert gpus_of(output)["fit", decided] == 1
    assert f"threads: {1 + decided}\n" in output or not decided
    refused = snakemake("--dry-run", "--mode", "remote", weights, gpus=4, succeeds=False)
    assert "QUIETPET_GPUS_OF_A_NETWORK" in refused


def test_a_profile_rules_restorations_of_every_data_set(repository, snakemake):
    """Rules of data sets of scans are restorations, which it need not know by name, but may."""
    study = (
        "--configfile",
        repository / "config.yaml",
        "--dry-run",
        "results/tables.csv",
        "--workflow-profile",
        "slurm",
    )
    found = gpus_of(snakemake(*study, gpus=0))
    restoring = {rule for rule, _ in found if rule.startswith("restore")}
    assert restoring == {"restore", "restore_ood1", "restore_ood1-2min", "restore_ood2", "restore_ood3"}
    assert {rule for rule, count in found if count} == {"learning_rate", "fit", *restoring}
    asked = ("--set-resources", "restore:gpu=1", "restore:mem_mb=9000", "restore_ood1-2min:gpu=2")
    output = snakemake(*study, *asked, "--set-threads", "restore=3", "restore_ood2=5", gpus=0)
    said = dict(re.findall(r"^rule (restore[\w-]*):\n((?: .+\n)+)", output, re.MULTILINE))
    for rule, gpus, threads in (
        ("restore_ood1", 1, 3),
        ("restore_ood1-2min", 2, 3),
        ("restore_ood2", 1, 5),
    ):
        assert f"gpu={gpus}" in said[rule]
        assert "mem_mb=9000" in said[rule]
        assert f"threads: {threads}\n" in said[rule]


def test_no_more_networks_run_at_once_than_there_are_gpus(snakemake, tmp_path):
    for split in ("train", "validation"):
        path = tmp_path / f"results/datasets/phantom/low/{split}.h5"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    fits = [
        f"results/models/phantom/low/{method}/r0/weights.safetensors"
        for method in ("unet", "munet_concat", "gmunet", "dmunet", "cmunet")
    ]
    snakemake(*fits, gpus=2)
    steps = [int(line) for line in Path(f"{tmp_path}/diary.running").read_text().split()]
    running = [sum(steps[: n + 1]) for n in range(len(steps))]
    assert len(steps) == 2 * len(fits)
    assert max(running) == 2
    assert (tmp_path / "diary").read_text().count("--threads 2 --gpus 1") == len(fits)
