"""Several processes share a training: against the same steps taken by hand in one."""

from __future__ import annotations

import csv
import itertools
import os
import socket
import subprocess
import sys

import pytest
import torch
from packed import write_splits
from small_networks import RESIDUAL_MFDIFF, UNET

from quietpet.config.networks import TrainingSettings
from quietpet.data.batches import StepBatches, central_batches
from quietpet.data.dataset import PairDataset
from quietpet.errors import InputError
from quietpet.files.tensors import read_tensors
from quietpet.jobs.methods import FitJob
from quietpet.methods.registry import build
from quietpet.seeds import named_seed, torch_generator
from quietpet.training.processes import start

NAMES = ("phantom", "low", "m", "r0")
TRAINING = TrainingSettings(
    iterations=3, batch_size=4, patch_pixels=16, validate_every=3, learning_rate=1e-3, gradient_clip=1.0
)
EAGAN = {
    "kind": "eagan", "widths": (4, 8), "discriminator_widths": (4, 8), "sobel_ramp_iterations": 0
}  # fmt: skip
LAYOUTS = {"2": (2,), "1(x2)": (1, 1), "2,1": (2, 1)}
"""How Slurm writes them -> tasks of each node."""
PLAIN_UNET = {**UNET, "normalisation": "none"}


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("packed")
    return write_splits(folder, ("train", "validation"), slices=6, pixels=32)


def job_of(model, whole_share):
    names = dict(zip(("dataset", "setting", "method", "replicate"), NAMES, strict=True))
    training = TRAINING.model_copy(update={"whole_share": whole_share})
    return FitJob(study_seed=1, **names, model=model, training=training)


def command(files, folder, model, *, whole_share=0.0):
    """What a user types."""
    return [
        sys.executable, "-m", "quietpet.cli", "fit", "--settings",
        job_of(model, whole_share).model_dump_json(),
        "--in", *(f"{name}={path}" for name, path in files.items()),
        "--out", *(f"{name}={folder / name}" for name in ("weights", "log", "card")),
    ]  # fmt: skip


def fitted(files, folder, model, *, processes, whole_share=0.0):
    """Weights and log of the command, as a user runs it."""
    folder.mkdir()
    done = subprocess.run(
        command(files, folder, model, whole_share=whole_share),
        env={**os.environ, "QUIETPET_DEVICE": "cpu", "QUIETPET_PROCESSES": str(processes)},
        capture_output=True, text=True, check=False, timeout=300,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return written(folder)


def written(folder):
    """Weights, their record and the log, beside which nothing is left."""
    assert sorted(path.name for path in folder.iterdir()) == ["card", "log", "weights"]
    with (folder / "log").open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    return *read_tensors(folder / "weights"), rows


def as_tasks(commands, *, layout, **variables):
    """Statuses and messages of ``commands`` that run at a time, as tasks of a step of Slurm.

    ``layout`` is how Slurm says how many of them each node has.
    """
    per_node = LAYOUTS[layout]
    places = [(node, local) for node, count in enumerate(per_node) for local in range(count)]
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    step = {
        "SLURM_STEP_ID": "0", "SLURM_STEP_TASKS_PER_NODE": layout,
        "SLURM_STEP_NUM_TASKS": str(len(places)), "SLURM_NTASKS": str(len(places)),
        "SLURM_NNODES": str(len(per_node)), "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port),
        "QUIETPET_DEVICE": "cpu", "QUIETPET_PROCESSES": "",
    }  # fmt: skip
    tasks = [
        subprocess.Popen(
            words, text=True, stderr=subprocess.PIPE,
            env={
                **os.environ, **step, "SLURM_PROCID": str(number), "SLURM_NODEID": str(node),
                "SLURM_LOCALID": str(local), **variables,
            },
        )
        for number, ((node, local), words) in enumerate(zip(places, commands, strict=True))
    ]  # fmt: skip
    said = [task.communicate(timeout=300)[1] for task in tasks]
    return [task.returncode for task in tasks], said


def by_hand(files, model, *, processes, whole_share, rounding):
    """The same steps in this process: losses of the parts, their mean, one gradient.

    Returns weights, losses, and which elements of each parameter never had a gradient, other than 0,
    below ``rounding`` of the largest.
    """
    torch.manual_seed(named_seed(1, *NAMES, "initial weights"))
    job = job_of(model, whole_share)
    method = build(job.model)
    held_out = PairDataset(files["validation"])
    method.tune(list(central_batches(held_out, pixels=32, batch_size=4)))
    batches = StepBatches(
        PairDataset(files["train"]), study_seed=1, names=NAMES, batch_size=4, patch_pixels=16,
        flip=False, patch_steps=job.training.patch_steps, processes=processes,
    )  # fmt: skip
    names = {id(parameter): name for name, parameter in method.named_parameters()}
    groups = method.groups()
    optimisers = {group: torch.optim.AdamW(groups[group], lr=1e-3) for group in groups}
    losses, certain = [], {}
    for step, (group, parameters) in itertools.product((1, 2, 3), groups.items()):
        parts = [
            method.loss(
                batches[step].part(k, processes),
                group,
                torch_generator(1, *NAMES, "loss", group, step, "part", k),
            )
            for k in range(processes)
        ]
        loss = torch.stack(parts).mean()
        optimisers[group].zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(parameters, 1.0)
        optimisers[group].step()
        losses.append(loss.item())
        gradients = {names[id(parameter)]: parameter.grad.abs() for parameter in parameters}
        least = rounding * max(float(gradient.max()) for gradient in gradients.values())
        for name, gradient in gradients.items():
            certain[name] = certain.get(name, True) & ((gradient >= least) | (gradient == 0))
    return method.state_dict(), losses, certain


@pytest.mark.parametrize(
    ("model", "whole_share", "rounding"),
    [(PLAIN_UNET, 0.0, 0.0), (RESIDUAL_MFDIFF, 0.3, 1e-7), (EAGAN, 0.0, 1e-6)],
    ids=["unet", "mfdiff", "eagan"],
)
def test_two_processes_take_the_steps_of_one(files, tmp_path, model, whole_share, rounding):
    """The last step of `mfdiff` is of whole heads, one for each process.

    Where a gradient vanishes, as that of a bias before a normalisation does, Adam makes whole steps of
    its rounding errors: below the resolution of float32 weights of the last two are not compared.
    """
    weights, record, (row,) = fitted(
        files, tmp_path / "two", model, processes=2, whole_share=whole_share
    )
    expected, losses, certain = by_hand(
        files, model, processes=2, whole_share=whole_share, rounding=rounding
    )
    for name, where in certain.items():
        torch.testing.assert_close(
            weights[name][where], expected[name][where], rtol=1e-4, atol=1e-5, msg=name
        )
    compared = sum(int(where.sum()) for where in certain.values())
    assert compared > (0.9 if rounding else 0.999) * sum(where.numel() for where in certain.values())
    assert float(row["loss"]) == pytest.approx(sum(losses) / len(losses), rel=1e-5)
    assert record["provenance"]["device"] == "2 x cpu"


def test_without_draws_in_the_loss_the_number_of_processes_does_not_matter(files, tmp_path):
    one, _, _ = fitted(files, tmp_path / "one", PLAIN_UNET, processes=1)
    two, _, _ = fitted(files, tmp_path / "two", PLAIN_UNET, processes=2)
    for name, tensor in one.items():
        torch.testing.assert_close(two[name], tensor, rtol=1e-4, atol=1e-5, msg=name)


def test_tasks_of_slurm_share_a_training_as_processes_of_one_command_do(files, tmp_path):
    """On two nodes; with a loss that draws. Its values, and the weights, are the same to the bit."""
    alone, record, rows = fitted(files, tmp_path / "alone", RESIDUAL_MFDIFF, processes=2)
    folder = tmp_path / "tasks"
    folder.mkdir()
    words = command(files, folder, RESIDUAL_MFDIFF)
    statuses, (first, second) = as_tasks([words] * 2, layout="1(x2)")
    assert statuses == [0, 0], first + second
    shared, shared_record, shared_rows = written(folder)
    for name, tensor in alone.items():
        assert torch.equal(shared[name], tensor), name
    assert shared_record["provenance"]["device"] == record["provenance"]["device"] == "2 x cpu"
    assert [row["loss"] for row in shared_rows] == [row["loss"] for row in rows]
    assert "INFO step 3, loss" in first
    assert second == ""


@pytest.mark.parametrize(
    ("layout", "variables", "sentence"),
    [
        (
            "2",
            {"QUIETPET_PROCESSES": "4"},
            "QUIETPET_PROCESSES=4 (or --gpus 4), but srun started 2 tasks",
        ),
        ("2,1", {}, "different numbers of tasks per node (2,1); give it --ntasks-per-node"),
    ],
    ids=["another number", "unequal nodes"],
)
def test_tasks_that_cannot_share_a_training_are_refused(files, tmp_path, layout, variables, sentence):
    words = command(files, tmp_path, PLAIN_UNET)
    statuses, said = as_tasks([words] * sum(LAYOUTS[layout]), layout=layout, **variables)
    assert set(statuses) == {1}
    assert sentence in said[0]
    assert said[0].count("quietpet: error: ") == 1
    assert said[1] == ""
    assert not list(tmp_path.iterdir())


def test_tasks_of_different_trainings_are_refused(files, tmp_path):
    """Such as those of a farm, where each task has another seed."""
    words = command(files, tmp_path, PLAIN_UNET)
    others = [word.replace('"study_seed":1', '"study_seed":2') for word in words]
    assert others != words
    statuses, (first, second) = as_tasks([words, others], layout="2")
    assert statuses == [1, 1]
    assert "differ in settings, code, inputs or checkpoint" in first
    assert second == ""
    assert not list(tmp_path.iterdir())


def test_the_parts_of_a_batch_are_the_batch(files):
    (batch,) = central_batches(PairDataset(files["train"]), pixels=16, batch_size=6)
    parts = [batch.part(k, 3) for k in range(3)]
    assert [len(part.keys) for part in parts] == [2, 2, 2]
    assert {key for part in parts for key in part.keys} == set(batch.keys)
    for part in parts:
        for position, key in enumerate(part.keys):
            row = batch.keys.index(key)
            assert torch.equal(part.low[position], batch.low[row])
            assert torch.equal(part.standard[position], batch.standard[row])
            assert part.scale[position] == batch.scale[row]


def test_a_batch_that_cannot_be_shared_equally_is_refused():
    with pytest.raises(InputError, match=r"batch_size = 4 cannot be shared equally by 3 processes"):
        start(TRAINING, torch.device("cpu"), processes=3)
