"""SIGTERM to one of the processes that share a training."""

from __future__ import annotations

import csv
import os
import signal
import subprocess
import sys

import pytest
import torch
from packed import write_splits
from small_networks import UNET

from quietpet.config.networks import TrainingSettings
from quietpet.files.tensors import read_tensors
from quietpet.jobs.methods import FitJob

JOB = FitJob(
    study_seed=1, dataset="phantom", setting="low", method="m", replicate="r0",
    model={**UNET, "normalisation": "none"},
    training=TrainingSettings(iterations=60, batch_size=4, patch_pixels=16, validate_every=60),
)  # fmt: skip
PROGRAM = """
import os, signal, sys
from quietpet.cli import main
from quietpet.training.steps import Steps

take = Steps.take

def terminated(self, step, batch):
    if step == 7 and self._fabric.global_rank == int(os.environ.get("TERMINATED", -1)):
        os.kill(os.getpid(), signal.SIGTERM)
    take(self, step, batch)

Steps.take = terminated
sys.exit(main())
"""
"""The command line; SIGTERM comes to one process at step 7."""


@pytest.fixture(scope="module")
def fit(tmp_path_factory):
    """The command with outputs in a folder, run by two processes."""
    place = tmp_path_factory.mktemp("terminated")
    files = write_splits(place, ("train", "validation"), slices=6, pixels=32)
    program = place / "program.py"
    program.write_text(PROGRAM)

    def done(folder, **environment):
        outputs = {name: folder / name for name in ("weights", "log")}
        return subprocess.run(
            [
                sys.executable, program, "fit", "--settings", JOB.model_dump_json(),
                "--in", *(f"{name}={path}" for name, path in files.items()),
                "--out", *(f"{name}={path}" for name, path in outputs.items()),
            ],
            env={
                **os.environ, "QUIETPET_DEVICE": "cpu", "QUIETPET_PROCESSES": "2", **environment
            },
            capture_output=True, text=True, check=False, timeout=300,
        )  # fmt: skip

    return done


def result_of(done, folder):
    """Weights, and the mean of all losses."""
    assert done.returncode == 0, done.stderr
    assert sorted(path.name for path in folder.iterdir()) == ["log", "weights"]
    with (folder / "log").open(newline="") as stream:
        (row,) = csv.DictReader(stream)
    return read_tensors(folder / "weights")[0], row["loss"]


def test_processes_end_at_the_same_step_and_go_on_from_it(fit, tmp_path):
    """The signal comes to another process than the first, which writes the state."""
    folders = whole, cut = tmp_path / "whole", tmp_path / "cut"
    for folder in folders:
        folder.mkdir()
    weights, loss = result_of(fit(whole), whole)
    done = fit(cut, TERMINATED="1")
    assert done.returncode == 128 + signal.SIGTERM, done.stderr
    assert "kept its state after step 50" in done.stderr
    (checkpoint,) = cut.iterdir()
    _, record = read_tensors(checkpoint)
    assert (record["rows"], record["since"]["span"]["steps"]) == ([], 50)
    resumed, its_loss = result_of(fit(cut), cut)
    assert its_loss == loss
    for name, tensor in weights.items():
        assert torch.equal(resumed[name], tensor), name
