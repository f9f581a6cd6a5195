"""The processes of one training: one, or one per device, which share every batch."""

from __future__ import annotations

import torch
from lightning_fabric import Fabric
from lightning_fabric.plugins.environments import LightningEnvironment
from lightning_fabric.plugins.precision import MixedPrecision
from lightning_fabric.strategies import DDPStrategy

from quietpet.config.networks import TrainingSettings
from quietpet.errors import InputError


def start(
    settings: TrainingSettings, device: torch.device, *, processes: int = 1, groups: int = 1
) -> Fabric:
    """Fabric on ``device``, or on as many devices of its type as ``processes``.

    Of several processes, this one is the first and runs the command it was itself called with again
    in each other one (Fabric's launcher), so whatever came before must be the same every time. Their
    gradients are averaged as they arise (DistributedDataParallel). ``groups``: parameter groups of the
    method, each of whose losses need not depend on all parameters.

    Raises:
        InputError: batches cannot be shared equally, or there are too few devices.
    """
    if settings.batch_size % processes:
        raise InputError(
            f"training.batch_size = {settings.batch_size} cannot be shared equally by {processes} "
            "processes; change either."
        )
    if device.type == "cuda" and processes > torch.cuda.device_count():
        raise InputError(f"{processes} GPUs are asked for, {torch.cuda.device_count()} are visible.")
    devices: int | list[int] = processes
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
        strategy=DDPStrategy(find_unused_parameters=groups > 1) if processes > 1 else "auto",
        precision=None if half else settings.precision,
        # The processes that this command starts and no others, whatever cluster is around it.
        plugins=[LightningEnvironment(), *float16],
    )
    fabric.launch()
    return fabric


def loss_scaler(fabric: Fabric) -> torch.amp.GradScaler | None:
    """What scales a float16 loss; None at other precisions."""
    precision = fabric.strategy.precision
    return precision.scaler if isinstance(precision, MixedPrecision) else None
