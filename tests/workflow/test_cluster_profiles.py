"""What clusters are asked for, told by dry runs; `test_slurm.py` asks a real one."""

from __future__ import annotations

import importlib.util
import re
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest
import yaml

pytestmark = pytest.mark.workflow

PROFILES = ("local", "gpu", "slurm", "slurm-cpu", "cluster-generic")
TARGETS = ("results/tables.csv", "results/report.html")


def profile(repository: Path, name: str) -> dict:
    return yaml.safe_load((repository / "profiles" / name / "config.yaml").read_text())


@pytest.fixture
def dry_run(repository, tmp_path):
    """Prints what Snakemake would do of the tiny study, or of another configuration."""

    def run(
        *arguments: object,
        configuration: Path = repository / "workflow/configs/tiny.yaml",
        succeeds: bool = True,
    ) -> str:
        done = subprocess.run(
            [
                *(sys.executable, "-m", "snakemake", "--snakefile", repository / "Snakefile"),
                *("--configfile", configuration, "--directory", tmp_path, "--dry-run"),
                *map(str, arguments),
            ],
            capture_output=True,
            text=True,
            check=False,
        )
        assert (done.returncode == 0) == succeeds, done.stdout + done.stderr
        return done.stdout + done.stderr

    return run


def groups_of(output: str) -> Counter[str]:
    """Jobs of a cluster by the rules of their steps."""
    blocks = re.split(r"^\[.*\] *", output, flags=re.MULTILINE)
    return Counter(
        " ".join(sorted(re.findall(r"^    rule ([\w-]+):", block, re.MULTILINE)))
        for block in blocks
        if block.startswith("Group job")
    )


@pytest.mark.parametrize("name", PROFILES)
def test_a_profile_says_all_that_the_default_says(repository, name):
    assert profile(repository, "default").items() <= profile(repository, name).items()


def test_without_gpus_slurm_is_asked_in_the_same_way(repository):
    of_gpus, of_cpus = (profile(repository, name) for name in ("slurm", "slurm-cpu"))
    assert of_gpus == {**of_cpus, "resources": of_gpus["resources"]}


@pytest.mark.parametrize("name", PROFILES)
def test_a_profile_runs_the_study(dry_run, name):
    plugin = {"slurm": "slurm", "slurm-cpu": "slurm", "cluster-generic": "cluster_generic"}.get(name)
    if plugin and not importlib.util.find_spec(f"snakemake_executor_plugin_{plugin}"):
        pytest.skip(f"snakemake-executor-plugin-{plugin.replace('_', '-')} is not installed")
    output = dry_run("--workflow-profile", name, *TARGETS)
    assert f"profiles/{name} for setting" in output
    assert "This was a dry-run" in output


def test_small_steps_are_one_job_of_a_cluster(dry_run):
    assert groups_of(dry_run("--workflow-profile", "slurm-cpu", *TARGETS)) == {
        "phantom simulate simulate": 3,
        "fit restore": 8,
        "restore": 1,
        "export gallery report subjects tables truth uncertainty": 1,
    }
    assert not groups_of(dry_run("--cores", "2", *TARGETS))


def test_trainings_with_a_gpu_or_of_many_iterations_stand_alone(dry_run, repository, tmp_path):
    of_gpus = groups_of(dry_run("--workflow-profile", "slurm", *TARGETS))
    assert not any("fit" in rules or "restore" in rules for rules in of_gpus)
    study = yaml.safe_load((repository / "workflow/configs/tiny.yaml").read_text())
    study["training"]["iterations"] = 1001
    longer = tmp_path / "longer.yaml"
    longer.write_text(yaml.safe_dump(study))
    output = dry_run("--workflow-profile", "slurm-cpu", *TARGETS, configuration=longer)
    assert groups_of(output) == of_gpus


def test_a_training_on_several_nodes_is_started_by_srun(dry_run):
    """Only that of a network, and as a job of its own."""
    cluster = ("--workflow-profile", "slurm-cpu", "--printshellcmds")
    nodes = ("--set-resources", "fit:nodes=2", "fit:tasks=4")
    output = dry_run(*cluster, *TARGETS, *nodes, "fit:mpi=srun")
    assert not any("fit" in rules for rules in groups_of(output))
    started = re.findall(r"^ *(?:Shell command: )?(\w[^'\n]*)quietpet fit ", output, re.MULTILINE)
    srun = "srun --nodes=2 --ntasks=4 --cpus-per-task=1 --kill-on-bad-exit=1 "
    assert Counter(started)[srun] == 6
    assert not re.search(r"srun [^\n]*quietpet (?!fit)", output)
    refused = dry_run(*cluster, *TARGETS, *nodes, "fit:mpi=mpirun", succeeds=False)
    assert "fit:mpi=mpirun, but srun starts the tasks of a training; give mpi=srun" in refused


def asked(output: str, resource: str) -> dict[str, int]:
    """What a job of each rule asks for, the most if they differ."""
    found = re.findall(
        rf"^rule (\w+):\n(?: .+\n)*? +resources: .*\b{resource}=(\d+)", output, re.MULTILINE
    )
    return {rule: max(int(value) for of, value in found if of == rule) for rule, _ in found}


def test_an_attempt_more_asks_for_as_much_again(dry_run):
    once = dry_run("--cores", "2", *TARGETS)
    again = dry_run("--cores", "2", "--attempt", "2", *TARGETS)
    for resource in ("mem_mb", "runtime"):
        first = asked(once, resource)
        assert {"phantom", "simulate", "pack", "fit", "restore", "tables", "report"} <= set(first)
        assert asked(again, resource) == {rule: 2 * value for rule, value in first.items()}


def test_larger_data_and_longer_trainings_ask_for_more(dry_run, repository, tmp_path):
    study = yaml.safe_load((repository / "workflow/configs/tiny.yaml").read_text())
    study["slices"] = {"indices": list(range(20, 120)), "rotations": 10}
    study["training"]["iterations"] = 100_000
    larger = tmp_path / "larger.yaml"
    larger.write_text(yaml.safe_dump(study))
    small, large = (
        dry_run("--cores", "2", *TARGETS),
        dry_run("--cores", "2", *TARGETS, configuration=larger),
    )
    megapixels = (1000 - 2) * 192**2 / 1e6
    more = {rule: large - asked(small, "mem_mb")[rule] for rule, large in asked(large, "mem_mb").items()}
    assert more["phantom"] == 0
    assert more["pack"] == pytest.approx(50 * megapixels, abs=2)
    assert more["fit"] == pytest.approx(100 * megapixels, abs=5)
    # Half an hour; two patches of 32 x 32 pixels each time, a tenth of a second for a thousand pixels.
    assert asked(large, "runtime")["fit"] == pytest.approx(30 + 341, abs=2)
