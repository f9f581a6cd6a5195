"""The processes of one training: one, or one per device, which share every batch."""

from __future__ import annotations

import os

import torch
from lightning_fabric import Fabric
from lightning_fabric.plugins.environments import (
    ClusterEnvironment,
    LightningEnvironment,
    SLURMEnvironment,
)
from lightning_fabric.plugins.precision import MixedPrecision
from lightning_fabric.strategies import DDPStrategy

from quietpet.config.networks import TrainingSettings
from quietpet.errors import InputError
from quietpet.tasks import Tasks


def start(
    settings: TrainingSettings,
    device: torch.device,
    *,
    processes: int = 1,
    tasks: Tasks | None = None,
    groups: int = 1,
) -> Fabric:
    """Fabric on ``device``, or on as many devices of its type as ``processes``.

    Of several processes, this one is the first and runs the command it was itself called with again
    in each other one (Fabric's launcher), so whatever came before must be the same every time. Where
    Slurm started them as ``tasks``, on one node or more, this one is any of them, and starts none. Their
    gradients are averaged as they arise (DistributedDataParallel). ``groups``: parameter groups of the
    method, each of whose losses need not depend on all parameters.

    Raises:
        InputError: batches cannot be shared equally, or there are too few devices.
    """
    nodes, devices_here = (tasks.nodes, tasks.per_node) if tasks else (1, processes)
    processes = nodes * devices_here
    if settings.batch_size % processes:
        raise InputError(
            f"training.batch_size = {settings.batch_size} cannot be shared equally by {processes} "
            "processes; change either."
        )
    if device.type == "cuda" and devices_here > (visible := torch.cuda.device_count()):
        alone = "; each task must see those of all tasks of its node (srun --gpu-bind=none)"
        raise InputError(
            f"{devices_here} GPUs are asked for, {visible} are visible{alone if tasks else ''}."
        )
    devices: int | list[int] = devices_here
    # Patches are all of one size, so the fastest convolutions are worth a search.
    torch.backends.cudnn.benchmark = device.type == "cuda"
    if device.type == "cuda" and processes == 1:
        devices = [device.index or 0]
    # Fabric would replace float16 on a CPU by another precision; given as a plugin it stays.
    half = settings.precision == "16-mixed"
    scaler = torch.amp.GradScaler(device.type) if half else None
    float16 = [MixedPrecision("16-mixed", device.type, scaler)] if half else []
    fabric = Fabric(
        accelerator=device.type,
        devices=devices,
        num_nodes=nodes,
        strategy=DDPStrategy(find_unused_parameters=groups > 1) if processes > 1 else "auto",
        precision=None if half else settings.precision,
        plugins=[_cluster(tasks), *float16],
    )
    fabric.launch()
    return fabric


def _cluster(tasks: Tasks | None) -> ClusterEnvironment:
    """Who the other processes are: ``tasks`` of Slurm; without, those that this command starts and no
    others, whatever cluster is around it.
    """
    if tasks is None:
        return LightningEnvironment()
    # Lightning wants it, and srun sets it only if it was given the option.
    os.environ["SLURM_NTASKS_PER_NODE"] = str(tasks.per_node)
    return SLURMEnvironment(auto_requeue=False)


def require_same_training(fabric: Fabric, digest: str, *, step: int) -> None:
    """Refuse processes of different jobs, of which ``digest`` names this one's, or at different steps.

    Raises:
        InputError: in every process.
    """
    other = fabric.broadcast((digest, step)) != (digest, step)
    differs = torch.tensor(float(other), device=fabric.device)
    if torch.as_tensor(fabric.all_reduce(differs, reduce_op="sum")).item():
        raise InputError(
            "the processes that were to share a training differ in settings, code, inputs or "
            "checkpoint; start each training by an srun of its own, in a folder that all nodes see."
        )


def loss_scaler(fabric: Fabric) -> torch.amp.GradScaler | None:
    """What scales a float16 loss; None at other precisions."""
    precision = fabric.strategy.precision
    return precision.scaler if isinstance(precision, MixedPrecision) else None
