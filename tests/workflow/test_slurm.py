"""The tiny study on a real Slurm of two nodes: opt in with ``-m slurm``.

It needs Debian's `slurm-wlm` and `munge` (or the like) and root, to start daemons; see `slurm_cluster`.
"""

from __future__ import annotations

import contextlib
import csv
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import h5py
import psutil
import pytest
import slurm_cluster
import yaml

from quietpet.cli import main
from quietpet.files.tensors import read_tensors

pytestmark = [pytest.mark.slurm, pytest.mark.timeout(1800)]

TARGETS = ("results/tables.csv", "results/report.html")
WITH_TIMES = {".h5", ".json", ".safetensors", ".html", ".md"}
"""Files of these kinds tell when, and in what time, they were made."""
SPEEDS = {"iterations_per_s", "slices_per_s", "waiting", "memory_mib"}
"""Columns of training.csv."""


@pytest.fixture(scope="module")
def cluster(request, tmp_path_factory):
    if "slurm" not in request.config.option.markexpr:
        pytest.skip("asked for by -m slurm alone")
    if why := slurm_cluster.missing():
        pytest.skip(why)
    with slurm_cluster.cluster(tmp_path_factory.mktemp("slurm")) as running:
        yield running


@pytest.fixture(scope="module")
def configuration(repository):
    return repository / "workflow/configs/tiny.yaml"


def snakemake_command(repository, configuration, folder, *arguments):
    snakemake = [sys.executable, "-m", "snakemake", "--snakefile", str(repository / "Snakefile")]
    study = ["--configfile", str(configuration), "--directory", str(folder)]
    return [*snakemake, *study, *map(str, arguments)]


def on_slurm(profile="slurm-cpu"):
    """Options: a profile of the repository, which looks at its jobs every second."""
    return ("--workflow-profile", profile, "--slurm-init-seconds-before-status-checks", 1)


def environment(**changes):
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    kept = {name: value for name, value in os.environ.items() if not name.startswith("QUIETPET_")}
    return {**kept, "PATH": path, **changes}


def snakemake(repository, configuration, folder, *arguments, check=True, **changes):
    done = subprocess.run(
        snakemake_command(repository, configuration, folder, *arguments),
        env=environment(**changes), capture_output=True, text=True, check=False,
    )  # fmt: skip
    output = done.stdout + done.stderr
    assert not check or done.returncode == 0, output
    return output


@pytest.fixture(scope="module")
def local(repository, configuration, cluster, tmp_path_factory):
    """The study's folder after a run without a scheduler, where there is a cluster, too."""
    folder = tmp_path_factory.mktemp("local")
    snakemake(repository, configuration, folder, "--cores", 2, *TARGETS)
    return folder


@pytest.fixture(scope="module")
def scheduled(repository, configuration, cluster, tmp_path_factory):
    """The study's folder after a run on Slurm, and the jobs of that."""
    folder = tmp_path_factory.mktemp("scheduled")
    before = {job["JobID"] for job in cluster.jobs()}
    snakemake(repository, configuration, folder, *on_slurm(), *TARGETS)
    ran = cluster.jobs("State", "tres-per-job")
    return folder, [job for job in ran if job["JobID"] not in before]


def test_every_output_is_that_of_a_local_run(local, scheduled, tmp_path):
    assert_same(local, scheduled[0])


def assert_same(one: Path, other: Path) -> None:
    """All files are there, of the same bytes, but for times in records of how they were made."""
    files = outputs(one)
    assert len(files) > 100
    assert outputs(other) == files
    differ = [name for name in files if (one / name).read_bytes() != (other / name).read_bytes()]
    assert {name.suffix for name in differ if name.name != "training.csv"} <= WITH_TIMES
    assert Path("results/tables.csv") not in differ
    for name in differ:
        if name.suffix == ".h5":
            assert arrays(one / name) == arrays(other / name), name
        if name.name == "training.csv":
            assert learned(one / name) == learned(other / name), name
    # By what they hold, their settings, code, versions and inputs.
    assert main(["diff", str(one), str(other)]) == 0


def outputs(folder: Path) -> list[Path]:
    """Results; not their digests, which follow them."""
    found = (path.relative_to(folder) for path in folder.glob("results/**/*") if path.is_file())
    return sorted(path for path in found if ".sha256" not in path.parts)


def arrays(path: Path) -> dict[str, bytes]:
    """The bytes of all arrays of an HDF5 file."""
    found = {}

    def keep(name, item):
        if hasattr(item, "shape"):
            found[name] = item[()].tobytes()

    with h5py.File(path) as file:
        file.visititems(keep)
    assert found
    return found


def learned(path: Path) -> list[dict[str, str]]:
    """A log of a training without its speeds."""
    with path.open(newline="") as stream:
        return [{k: v for k, v in row.items() if k not in SPEEDS} for row in csv.DictReader(stream)]


def test_small_steps_are_one_job(scheduled):
    """Three subjects, three splits, nine methods, and all tables."""
    _, jobs = scheduled
    assert {job["State"] for job in jobs} == {"COMPLETED"}
    names = Counter(re.sub(r"_.*", "", job["Comment"].removeprefix("rule_")) for job in jobs)
    assert names == {"subject": 3, "pack": 3, "training": 9, "tables": 1}
    assert not [job for job in jobs if "gpu" in job["tres-per-job"]]


@pytest.fixture
def unfinished(local, tmp_path):
    """A copy of the finished study without what these methods made."""

    def without(*methods: str) -> Path:
        folder = tmp_path / "unfinished"
        shutil.copytree(local, folder)
        for method in methods:
            for made in folder.glob(f"results/*/phantom/low/{method}"):
                shutil.rmtree(made)
        return folder

    return without


def test_networks_alone_ask_for_gpus(repository, configuration, cluster, unfinished):
    """The nodes count four GPUs and have none, so that the network is trained on its CPU."""
    methods = ("lpet", "gaussian", "unet")
    folder, before = unfinished(*methods), len(cluster.jobs())
    scores = [f"results/scores/phantom/low/{method}/r0.csv" for method in methods]
    said = snakemake(
        repository, configuration, folder, *on_slurm("slurm"),
        "--default-resources", "gpu_model='a100' if threads > 1 else ''", "--", *scores,
    )  # fmt: skip
    assert "on GPUs of the cluster, at most 4 at a time" in said
    found = {
        (rule, method): "gpu:a100:1" in job["tres-per-job"]
        for job in cluster.jobs("tres-per-job")[before:]
        for rule in ("fit", "restore")
        for method in methods
        if rule in job["Comment"] and method in job["Comment"]
    }
    assert found == {
        ("fit", "gaussian"): False, ("restore", "gaussian"): False, ("restore", "lpet"): False,
        ("fit", "unet"): True, ("restore", "unet"): True,
    }  # fmt: skip
    log = (folder / "logs/fit/phantom-low-unet-r0.log").read_text()
    assert "--threads 2 --gpus 1" in log


def test_tasks_on_two_nodes_train_as_one_process_does(repository, configuration, cluster, unfinished):
    """Without normalisation and whole heads, which see the parts of a batch."""
    folder, before = unfinished("unet"), len(cluster.jobs())
    study = yaml.safe_load(configuration.read_text())
    study["training"] |= {"batch_size": 4, "whole_share": 0}
    study["methods"] = {"unet": {**study["methods"]["unet"], "normalisation": "none"}}
    study["methods"]["unet"].pop("pet_only_of")
    plain = folder / "plain.yaml"
    plain.write_text(yaml.safe_dump(study))
    weights = folder / "results/models/phantom/low/unet/r0/weights.safetensors"
    target = weights.relative_to(folder)

    def losses():
        return [float(row["loss"]) for row in learned(weights.with_name("training.csv"))]

    snakemake(repository, plain, folder, "--cores", 1, target)
    alone = losses()
    shutil.rmtree(weights.parent)
    asked = ("--set-resources", "fit:mpi=srun", "fit:nodes=2", "fit:tasks=2", "--", target)
    # Nodes of other clusters have names that stand for an address.
    snakemake(repository, plain, folder, *on_slurm(), *asked, MASTER_ADDR="127.0.0.1")
    (job,) = cluster.jobs("State", "NumNodes", "NumTasks")[before:]
    assert (job["State"], job["NumNodes"], job["NumTasks"]) == ("COMPLETED", "2", "2")
    assert read_tensors(weights)[1]["provenance"]["device"] == "2 x cpu"
    assert losses() == pytest.approx(alone, rel=1e-5)
    log = (folder / "logs/fit/phantom-low-unet-r0.log").read_text()
    assert log.count(" INFO quietpet fit ") == 1
    # Other resources train nothing again.
    assert "Nothing to be done" in snakemake(repository, plain, folder, "--cores", 1, target)


def test_a_job_over_its_memory_is_killed_and_gets_twice_as_much(
    repository, configuration, cluster, unfinished
):
    folder, before = unfinished("unet"), len(cluster.jobs())
    weights = "results/models/phantom/low/unet/r0/weights.safetensors"
    # A training and the Snakemake beside it take about 600 MiB.
    little = ("--set-resources", "fit:mem_mb=450 * attempt", "--", weights)
    snakemake(repository, configuration, folder, *on_slurm(), *little)
    first, second = cluster.jobs("State", "MinMemory")[before:]
    assert (first["State"], first["MinMemory"]) == ("FAILED", "450M")
    assert (second["State"], second["MinMemory"]) == ("COMPLETED", "900M")
    assert (folder / weights).is_file()
    killed = "".join(path.read_text() for path in folder.glob(".snakemake/slurm_logs/**/*.log"))
    assert "exceeded memory limit" in killed


def test_a_cluster_without_accounting_says_what_to_set(repository, configuration, cluster, tmp_path):
    before = len(cluster.jobs())
    asked = (*on_slurm(), "--slurm-status-command", "sacct", "results/tables.csv")
    said = snakemake(repository, configuration, tmp_path, *asked, check=False)
    assert "sacct does not tell when a job has ended" in said
    assert "set slurm-status-command: squeue in the profile" in said
    assert "Traceback" not in said
    assert len(cluster.jobs()) == before
    assert not (tmp_path / "results").exists()


@contextlib.contextmanager
def running(repository, configuration, folder, *arguments):
    """Snakemake while the context lasts, which ends it if it has not ended by itself."""
    with (folder.with_suffix(".said")).open("w") as said:
        process = subprocess.Popen(
            snakemake_command(repository, configuration, folder, *arguments),
            env=environment(), stdout=said, stderr=said, start_new_session=True,
        )  # fmt: skip
        try:
            yield process
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()


def wait_for(found, *, seconds=600):
    """What ``found()`` gives as soon as that is something."""
    deadline = time.monotonic() + seconds
    while not (something := found()):
        assert time.monotonic() < deadline, "it did not come"
        time.sleep(0.05)
    return something


def processes_of(step: str, folder: Path) -> list[int]:
    """Commands of ``step`` that run in ``folder``."""
    found = []
    for process in psutil.process_iter(["cmdline", "cwd"]):
        words = process.info["cmdline"] or []
        if process.info["cwd"] == str(folder) and any(word.endswith("/quietpet") for word in words[:2]):
            found += [process.pid] if step in words[1:3] else []
    return found


def test_a_study_whose_jobs_are_killed_ends_in_identical_outputs(
    repository, configuration, cluster, local, unfinished
):
    """A step is killed, a job is cancelled, and then Snakemake is killed; the same command again."""
    folder, before = unfinished("unet", "gaussian"), len(cluster.jobs())
    for target in TARGETS:
        (folder / target).unlink()
    with running(repository, configuration, folder, *on_slurm(), *TARGETS) as process:
        os.kill(wait_for(lambda: processes_of("fit", folder))[0], signal.SIGKILL)
        wait_for(lambda: cluster.job_of("training", "FAILED"))
        cluster.told("scancel", wait_for(lambda: cluster.job_of("training")))
        wait_for(lambda: processes_of("fit", folder) or processes_of("restore", folder))
        assert process.poll() is None
        os.killpg(process.pid, signal.SIGKILL)
    wait_for(lambda: not cluster.told("squeue", "--noheader").strip())
    states = Counter(job["State"] for job in cluster.jobs("State")[before:])
    assert (states["FAILED"], states["CANCELLED"]) == (1, 1)
    assert not (folder / "results/tables.csv").exists()
    snakemake(repository, configuration, folder, "--unlock", "--cores", 1)
    snakemake(repository, configuration, folder, *on_slurm(), *TARGETS)
    assert_same(local, folder)


def test_a_training_that_is_stopped_goes_on_from_its_checkpoint(
    repository, configuration, cluster, unfinished
):
    """SIGTERM, as before a pre-emption; then Slurm queues the job again by itself."""
    folder = unfinished("unet")
    study = yaml.safe_load(configuration.read_text())
    study["training"] |= {"iterations": 600, "validate_every": 10}
    study["methods"] = {"unet": {**study["methods"]["unet"]}}
    study["methods"]["unet"].pop("pet_only_of")
    longer = folder / "longer.yaml"
    longer.write_text(yaml.safe_dump(study))
    weights = "results/models/phantom/low/unet/r0/weights.safetensors"
    log = folder / "logs/fit/phantom-low-unet-r0.log"
    log.unlink()

    def steps():
        said = log.read_text() if log.exists() else ""
        return [int(step) for step in re.findall(r" step (\d+), ", said)]

    def gone_on():
        return [step for step in steps() if step > reached] if len(steps()) > 2 else []

    before, reached = len(cluster.jobs()), 0
    with running(repository, longer, folder, *on_slurm(), weights) as process:
        for stop in (("scancel", "--signal=TERM"), ("scontrol", "requeue")):
            wait_for(gone_on)
            assert steps()[0] > reached
            reached = steps()[-1]
            log.unlink()
            cluster.told(*stop, wait_for(lambda: cluster.job_of("fit") or cluster.job_of("training")))
        assert process.wait(600) == 0
    assert steps()[0] > reached
    assert steps() == list(range(steps()[0], 601, 10))
    first, second = cluster.jobs("State", "MinMemory")[before:]
    assert (first["State"], second["State"]) == ("FAILED", "COMPLETED")
    assert int(second["MinMemory"].rstrip("M")) == 2 * int(first["MinMemory"].rstrip("M"))
