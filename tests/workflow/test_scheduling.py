"""The cores of the command line are a limit, also after steps at which one job alone was ready."""

import subprocess
import sys
from pathlib import Path

import yaml
from snakemake.settings.types import MaxJobsPerTimespan

CORES = 2
A_CHAIN_THEN_MANY = """
rule all:
    input: expand("many/{i}", i=range(8))

rule link:
    output: "chain/{n}"
    input: lambda wildcards: [f"chain/{int(wildcards.n) - 1}"] if int(wildcards.n) else []
    shell: "touch {output}"

rule many:
    input: "chain/4"
    output: "many/{i}"
    shell: "echo 1 >> running; sleep 0.5; echo -1 >> running; touch {output}"
"""


def test_no_more_jobs_run_at_once_than_there_are_cores(tmp_path: Path):
    (tmp_path / "Snakefile").write_text(A_CHAIN_THEN_MANY)
    command = [sys.executable, "-m", "snakemake", "--cores", str(CORES), "--quiet", "all"]
    subprocess.run(command, cwd=tmp_path, check=True, capture_output=True, timeout=120)
    steps = [int(line) for line in (tmp_path / "running").read_text().split()]
    running = [sum(steps[: n + 1]) for n in range(len(steps))]
    assert len(steps) == 16
    assert max(running) == CORES


def test_a_finished_job_wakes_snakemake_up_seldom(repository):
    """Each leaves a timer of the rate limiter behind, which starts another whenever it ends."""
    limit = MaxJobsPerTimespan.parse_choice(profile(repository, "default")["max-jobs-per-timespan"])
    assert limit.timespan >= 5
    assert limit.max_jobs / limit.timespan >= 1000  # which is no limit


def profile(repository: Path, name: str) -> dict:
    return yaml.safe_load((repository / "profiles" / name / "config.yaml").read_text())
