"""The one training loop, for every method with parameters."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict
from functools import partial
from typing import TYPE_CHECKING

import torch
from lightning_fabric import Fabric
from torch import nn
from torch.utils.data import DataLoader

from quietpet.config.networks import TrainingSettings
from quietpet.data.batches import ResidentBatches, StepBatches
from quietpet.data.pairs import Batch
from quietpet.errors import InputError
from quietpet.methods.base import Restorer
from quietpet.progress import track
from quietpet.seeds import Name, named_seed, torch_generator
from quietpet.training.checkpoint import Checkpoint, Learner, LogRow
from quietpet.training.ema import Average
from quietpet.training.processes import loss_scaler
from quietpet.training.throughput import Meter
from quietpet.training.validation import restoration_nmse, validation_loss

if TYPE_CHECKING:
    from quietpet.data.measured import MeasuredBatches

_READ_EVERY = 50
"""Losses on a GPU are read, and found not to be finite, together: reading each would make it wait."""

_LEAST_SCALE = 2.0**-10
"""Smaller scales of a float16 loss mean that its gradients are not finite; scales start at 2**16."""


def train(  # noqa: PLR0915 (one loop, to be read from top to bottom)
    method: Restorer,
    *,
    batches: StepBatches | ResidentBatches | MeasuredBatches,
    validation: Sequence[Batch],
    settings: TrainingSettings,
    study_seed: int,
    names: Sequence[Name],
    checkpoint: Checkpoint,
    fabric: Fabric,
    restored: Sequence[Batch] = (),
    start: Restorer | None = None,
    workers: int = 0,
    report: Callable[[Sequence[LogRow]], None] = lambda _: None,
) -> tuple[LogRow, ...]:
    """Train ``method`` in place and return its log; goes on from ``checkpoint`` if that exists.

    The method ends with the weights that restore the slices ``restored`` with the least NMSE, or without
    such slices with those of least validation loss: the loss of each group on the slices ``validation``,
    or the error of restoring them where that loss is a discriminator's opinion.
    Random draws are the same at every validation, so that the values of a diffusion model can be
    compared too. With ``settings.ema`` these are averaged weights. On the
    CPU an interrupted and resumed training ends with exactly the weights of an uninterrupted one.

    ``start`` gives the weights to start from, and with them the numbers that were tuned for them.

    Where ``fabric`` has several processes, each takes its part of every batch and draws by that part's
    name; gradients and losses are averaged. The first alone writes checkpoints, and its result counts:
    the others' running statistics and speeds are their own.

    ``report`` is given the log so far at each validation, by the first process.

    Raises:
        InputError: the loss stopped being finite, or the checkpoint does not fit.
    """
    method.begin(validation, start)
    if not method.groups():
        return ()

    method.to(fabric.device)
    if settings.channels_last:
        method.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # no stub of it
    average = Average(method, settings.ema) if settings.ema.profile != "none" else None
    scaler = loss_scaler(fabric)
    optimisers = {
        group: adam(parameters, settings, scaled_loss=scaler is not None)
        for group, parameters in method.groups().items()
    }
    learner = Learner(
        method=method,
        optimisers=optimisers,
        average=average.method if average else None,
        scaler=scaler,
    )
    progress = checkpoint.resume(learner)
    if settings.compile:
        _compile(method)
    wrapped, *wrapped_optimisers = fabric.setup(_Losses(method), *optimisers.values())
    held_out, to_restore = (
        [batch.to(fabric.device) for batch in batches_of] for batches_of in (validation, restored)
    )
    steps = range(progress.step + 1, settings.iterations + 1)
    meter = Meter(fabric.device)
    pinned = fabric.device.type == "cuda" and workers > 0
    loader = DataLoader(batches, batch_size=None, sampler=steps, num_workers=workers, pin_memory=pinned)
    bar = track(
        zip(steps, meter.watch(loader), strict=True),
        label="training", total=settings.iterations, unit="it", start=progress.step,
    )  # fmt: skip
    part = _part(fabric)
    losses: list[float] = []
    unread: list[tuple[int, torch.Tensor]] = []
    for step, loaded in bar:
        method.train()
        batch = loaded.part(fabric.global_rank, fabric.world_size).to(fabric.device)
        torch.manual_seed(named_seed(study_seed, *names, "layers", step, *part))  # dropout
        rate = learning_rate(step, settings)
        for group, optimiser in zip(optimisers, wrapped_optimisers, strict=True):
            optimiser.param_groups[0]["lr"] = rate
            optimiser.zero_grad()
            generator = torch_generator(study_seed, *names, "loss", group, step, *part)
            loss = wrapped(partial(_loss, batch=batch, group=group, generator=generator))
            unread.append((step, loss.detach()))
            fabric.backward(loss)
            if settings.gradient_clip:
                fabric.clip_gradients(
                    wrapped, optimiser, max_norm=settings.gradient_clip, error_if_nonfinite=False
                )
            optimiser.step()
        if average:
            average.update(step)

        validate = step % settings.validate_every == 0 or step == settings.iterations
        if validate or len(unread) >= _READ_EVERY:
            losses += _read(unread, settings, fabric)
            unread.clear()
        if validate:
            _require_steps(scaler, step=step)
            speed = meter.read()
            with fabric.autocast(), _uncompiled(settings):
                found = (
                    validation_loss(learner.result, held_out, study_seed=study_seed, names=names),
                    restoration_nmse(learner.result, to_restore, study_seed=study_seed, names=names)
                    if to_restore
                    else None,
                )
            # Running statistics are of a process's own parts; those of the first process are kept.
            held_out_loss, nmse = fabric.broadcast(found)
            _require_finite(held_out_loss, "validation loss", step=step, settings=settings)
            row = LogRow(
                step=step,
                loss=sum(losses) / len(losses),
                validation=held_out_loss,
                nmse=nmse,
                learning_rate=rate,
                **asdict(speed),
            )
            progress = progress.followed_by(row, learner.result)
            if fabric.is_global_zero:
                checkpoint.save(learner, progress)
                report(progress.rows)
            losses.clear()
            meter.restart()

    method.load_state_dict(progress.best)
    return progress.rows


def learning_rate(step: int, settings: TrainingSettings) -> float:
    """Learning rate of ``step`` (counted from 1)."""
    risen = settings.warmup_iterations
    if step <= risen:
        return settings.learning_rate * step / risen
    if settings.schedule == "constant":
        return settings.learning_rate
    passed = (step - 1 - risen) / (settings.iterations - risen)
    if settings.schedule == "linear":
        return settings.learning_rate * min(1.0, (1 - passed) / (1 - settings.constant_share))
    return settings.learning_rate * 0.5 * (1 + math.cos(math.pi * passed))


def adam(
    parameters: Iterable[nn.Parameter], settings: TrainingSettings, *, scaled_loss: bool
) -> torch.optim.Adam:
    """The optimiser, in one kernel per step: on a CPU hundreds of small tensors take 4 instead of 15 ms.

    With a scaled loss it could not clip gradients, which are unscaled within it.
    """
    chosen = settings.optimiser
    kind = {"adam": torch.optim.Adam, "adamw": torch.optim.AdamW}[chosen.kind]
    return kind(
        parameters,
        lr=settings.learning_rate,
        betas=chosen.betas,
        weight_decay=chosen.weight_decay,
        fused=None if scaled_loss else True,
    )


class _Losses(nn.Module):
    """A method whose forward pass is a loss, which Fabric wraps in precision and gradient averaging."""

    def __init__(self, method: Restorer) -> None:
        super().__init__()
        self.method = method

    def forward(self, loss: Callable[[Restorer], torch.Tensor]) -> torch.Tensor:
        return loss(self.method)


def _loss(method: Restorer, *, batch: Batch, group: str, generator: torch.Generator) -> torch.Tensor:
    return method.loss(batch, group, generator)


def _part(fabric: Fabric) -> tuple[Name, ...]:
    """Name of what this process takes of each batch; a batch that is not shared has none."""
    return ("part", fabric.global_rank) if fabric.world_size > 1 else ()


def _compile(method: Restorer) -> None:
    # What calls the networks draws from generators, which cannot be compiled. channels_last decides on
    # the memory order; with its own choice the compiler of torch 2.13 fails at padding on the CPU.
    for network in method.children():
        network.compile(options={"layout_optimization": False})


def _uncompiled(settings: TrainingSettings) -> AbstractContextManager[object]:
    # Validation slices differ from patches in size: each size would be compiled again.
    return torch.compiler.set_stance("force_eager") if settings.compile else nullcontext()


def _read(
    losses: Sequence[tuple[int, torch.Tensor]], settings: TrainingSettings, fabric: Fabric
) -> list[float]:
    """The losses of the steps named beside them, as means over the processes; all must be finite."""
    means = fabric.all_reduce(torch.stack([loss for _, loss in losses]), reduce_op="mean")
    values: list[float] = torch.as_tensor(means).tolist()
    for (step, _), value in zip(losses, values, strict=True):
        _require_finite(value, "loss", step=step, settings=settings)
    return values


def _require_steps(scaler: torch.amp.GradScaler | None, *, step: int) -> None:
    """With a scaled loss, gradients that are never finite are only skipped: the scale tells of them."""
    if scaler and scaler.get_scale() < _LEAST_SCALE:
        raise InputError(
            f"training: at step {step} the gradients overflow float16 whatever the loss is scaled by "
            f"(now {scaler.get_scale():g}). Use precision bf16-mixed or 32-true."
        )


def _require_finite(value: float, what: str, *, step: int, settings: TrainingSettings) -> None:
    if not math.isfinite(value):
        raise InputError(
            f"training: the {what} is {value} at step {step}. Lower training.learning_rate "
            f"(now {settings.learning_rate:g}), set training.gradient_clip "
            f"(now {settings.gradient_clip}), or use precision 32-true (now {settings.precision})."
        )
