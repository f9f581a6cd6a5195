"""The one training loop, for every method with parameters."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence

import torch
from lightning_fabric import Fabric
from lightning_fabric.plugins.environments import LightningEnvironment
from torch.utils.data import DataLoader

from quietpet.config import TrainingSettings
from quietpet.data.batches import StepBatches
from quietpet.data.pairs import Batch
from quietpet.errors import InputError
from quietpet.methods.base import Restorer
from quietpet.progress import track
from quietpet.seeds import Name, named_seed, torch_generator
from quietpet.training.checkpoint import Checkpoint, LogRow, Progress, snapshot


def train(
    method: Restorer,
    *,
    batches: StepBatches,
    validation: Sequence[Batch],
    settings: TrainingSettings,
    study_seed: int,
    names: Sequence[Name],
    checkpoint: Checkpoint,
    device: torch.device,
    workers: int = 0,
) -> tuple[LogRow, ...]:
    """Train ``method`` in place and return its log; goes on from ``checkpoint`` if that exists.

    The method ends with the weights of least validation loss, whatever its kind: the loss of each group
    on the validation slices, with the same named random draws at every validation, so that the values
    of a diffusion model can be compared too. On the CPU in float32 an interrupted and resumed training
    ends with exactly the weights of an uninterrupted one.

    Raises:
        InputError: the loss stopped being finite, or the checkpoint does not fit.
    """
    method.tune(validation)
    if not method.groups():
        return ()

    # One process per job, whatever cluster is around it.
    fabric = Fabric(
        accelerator=device.type,
        devices=[device.index or 0] if device.type == "cuda" else 1,
        precision=settings.precision,
        plugins=[LightningEnvironment()],
    )
    method.to(fabric.device)
    optimisers = {
        group: torch.optim.AdamW(parameters, lr=settings.learning_rate)
        for group, parameters in method.groups().items()
    }
    progress = checkpoint.resume(method, optimisers)
    wrapped, *wrapped_optimisers = fabric.setup(method, *optimisers.values())
    held_out = [batch.to(fabric.device) for batch in validation]
    steps = range(progress.step + 1, settings.iterations + 1)
    loader = DataLoader(batches, batch_size=None, sampler=steps, num_workers=workers)

    losses: list[float] = []
    began = time.monotonic()
    bar = track(
        zip(steps, loader, strict=True),
        label="training", total=settings.iterations, unit="it", start=progress.step,
    )  # fmt: skip
    for step, cpu_batch in bar:
        method.train()
        batch = cpu_batch.to(fabric.device)
        torch.manual_seed(named_seed(study_seed, *names, "layers", step))  # dropout
        rate = learning_rate(step, settings)
        for group, optimiser in zip(optimisers, wrapped_optimisers, strict=True):
            optimiser.param_groups[0]["lr"] = rate
            optimiser.zero_grad()
            generator = torch_generator(study_seed, *names, "loss", group, step)
            # The forward pass is method.loss, which Fabric does not wrap in its precision by itself.
            with fabric.autocast():
                loss = method.loss(batch, group, generator)
            losses.append(float(loss.detach()))
            _require_finite(losses[-1], "loss", step=step, settings=settings)
            fabric.backward(loss)
            if settings.gradient_clip:
                fabric.clip_gradients(
                    wrapped, optimiser, max_norm=settings.gradient_clip, error_if_nonfinite=False
                )
            optimiser.step()

        if step % settings.validate_every == 0 or step == settings.iterations:
            with fabric.autocast():
                held_out_loss = validation_loss(method, held_out, study_seed=study_seed, names=names)
            row = LogRow(
                step=step,
                loss=sum(losses) / len(losses),
                validation=held_out_loss,
                learning_rate=rate,
                iterations_per_s=len(losses) / len(optimisers) / (time.monotonic() - began),
            )
            _require_finite(held_out_loss, "validation loss", step=step, settings=settings)
            better = row.validation < progress.best_validation
            progress = Progress(
                rows=(*progress.rows, row), best=snapshot(method) if better else progress.best
            )
            checkpoint.save(method, optimisers, progress)
            losses, began = [], time.monotonic()

    method.load_state_dict(progress.best)
    return progress.rows


def learning_rate(step: int, settings: TrainingSettings) -> float:
    """Learning rate of ``step`` (counted from 1)."""
    if settings.schedule == "constant":
        return settings.learning_rate
    return settings.learning_rate * 0.5 * (1 + math.cos(math.pi * (step - 1) / settings.iterations))


def validation_loss(
    method: Restorer, batches: Sequence[Batch], *, study_seed: int, names: Sequence[Name]
) -> float:
    """Mean over slices and sum over groups of the loss; the same random draws at every call."""
    method.eval()
    total = 0.0
    with torch.inference_mode():
        for number, batch in enumerate(batches):
            for group in method.groups():
                generator = torch_generator(study_seed, *names, "validation", group, number)
                total += len(batch.keys) * float(method.loss(batch, group, generator))
    return total / sum(len(batch.keys) for batch in batches)


def _require_finite(value: float, what: str, *, step: int, settings: TrainingSettings) -> None:
    if not math.isfinite(value):
        raise InputError(
            f"training: the {what} is {value} at step {step}. Lower training.learning_rate "
            f"(now {settings.learning_rate:g}), set training.gradient_clip "
            f"(now {settings.gradient_clip}), or use precision 32-true (now {settings.precision})."
        )
