"""The one training loop, for every method with parameters."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict, replace
from typing import TYPE_CHECKING

import torch
from lightning_fabric import Fabric
from torch.utils.data import DataLoader

from quietpet.config.networks import TrainingSettings
from quietpet.data.batches import ResidentBatches, StepBatches
from quietpet.data.pairs import Batch
from quietpet.methods.base import Restorer
from quietpet.progress import track
from quietpet.seeds import Name
from quietpet.training.checkpoint import Checkpoint, Learner, LogRow, Progress, Since
from quietpet.training.ema import Average
from quietpet.training.optimiser import adam, learning_rate
from quietpet.training.processes import loss_scaler, require_same_training
from quietpet.training.steps import Steps, require_finite
from quietpet.training.termination import Terminated, Termination, leave_to_the_trainer
from quietpet.training.throughput import Meter
from quietpet.training.validation import HeldOut

if TYPE_CHECKING:
    from quietpet.data.measured import MeasuredBatches

logger = logging.getLogger(__name__)


def train(
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
    such slices with the last ones. Of all slices ``validation`` the loss is logged, and decides nothing.
    Random draws are the same at every validation, so that the values of a diffusion model can be
    compared too. With ``settings.ema`` these are averaged weights. On the
    CPU an interrupted and resumed training ends with exactly the weights of an uninterrupted one.

    ``start`` gives the weights to start from, and with them the numbers that were tuned for them.

    Where ``fabric`` has several processes, the first alone writes checkpoints, and its result counts:
    the others' running statistics and speeds are their own.

    ``report`` is given the log so far at each validation, by the first process.

    Raises:
        Terminated: SIGTERM came; the checkpoint has all steps up to there.
        Diverged: the loss stopped being finite.
        InputError: the checkpoint does not fit.
    """
    method.begin(validation, start)
    if not method.groups():
        return ()
    learner, average = _learner(method, settings, fabric)
    progress = checkpoint.resume(learner)
    require_same_training(fabric, checkpoint.digest, step=progress.step)
    if settings.compile:
        _compile(method)
    steps = Steps(
        learner, settings, fabric, study_seed=study_seed, names=names, losses=progress.since.losses
    )
    held_out = HeldOut.on(
        fabric.device, validation=validation, restored=restored, study_seed=study_seed, names=names
    )
    meter = Meter(progress.since.span)

    def validated(progress: Progress) -> Progress:
        step, since = progress.step, progress.since
        steps.require_taken(step)
        speed = since.span.throughput(fabric.device)
        with termination.at_once():
            loss, nmse = _validated(learner.result, held_out, settings, fabric, step=step)
        row = LogRow(
            step=step,
            loss=since.mean_loss,
            validation=loss,
            nmse=nmse,
            learning_rate=learning_rate(step, settings),
            **asdict(speed),
        )
        progress = progress.followed_by(row, learner.result)
        if fabric.is_global_zero:
            checkpoint.save(learner, progress)
            report(progress.rows)
        steps.forget()
        meter.restart()
        return progress

    with Termination(fabric) as termination:
        try:
            if progress.since.losses and _is_validated(progress.step, settings):
                progress = validated(progress)
            loaded = _loaded(batches, settings, fabric, meter, done=progress.step, workers=workers)
            for step, batch in loaded:
                steps.take(step, batch)
                if average:
                    average.update(step)
                ends, due = termination.asked(step), _is_validated(step, settings)
                if ends or due:
                    progress = replace(progress, since=Since(losses=steps.losses(), span=meter.read()))
                if ends:
                    raise Terminated
                if due:
                    progress = validated(progress)
        except Terminated:
            if not fabric.is_global_zero:  # where one of the others fails, Fabric kills the first one
                raise SystemExit(0) from None
            _keep(checkpoint, learner, progress)
            raise

    method.load_state_dict(progress.best)
    return progress.rows


def _is_validated(step: int, settings: TrainingSettings) -> bool:
    """Whether a validation follows ``step``."""
    return step % settings.validate_every == 0 or step == settings.iterations


def _keep(checkpoint: Checkpoint, learner: Learner, progress: Progress) -> None:
    """Save the state of a training that is terminated between validations."""
    if learner.finite:  # one that is about to diverge is not gone on from
        checkpoint.save(learner, progress)
        logger.info("training: terminated; kept its state after step %d", progress.step)


def _learner(
    method: Restorer, settings: TrainingSettings, fabric: Fabric
) -> tuple[Learner, Average | None]:
    """All that steps will change, on the device of ``fabric``."""
    method.to(fabric.device)
    if settings.channels_last:
        method.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # no stub of it
    average = Average(method, settings.ema) if settings.ema.profile != "none" else None
    scaler = loss_scaler(fabric)
    optimisers = {
        group: adam(parameters, settings, scaled_loss=scaler is not None)
        for group, parameters in method.groups().items()
    }
    averaged = average.method if average else None
    return Learner(method=method, optimisers=optimisers, average=averaged, scaler=scaler), average


def _loaded(
    batches: StepBatches | ResidentBatches | MeasuredBatches,
    settings: TrainingSettings,
    fabric: Fabric,
    meter: Meter,
    *,
    done: int,
    workers: int,
) -> Iterator[tuple[int, Batch]]:
    """Each step that is not yet ``done``, with its batch."""
    steps = range(done + 1, settings.iterations + 1)
    loader = DataLoader(
        batches,
        batch_size=None,
        sampler=steps,
        num_workers=workers,
        pin_memory=fabric.device.type == "cuda" and workers > 0,
        worker_init_fn=leave_to_the_trainer,
    )
    yield from track(
        zip(steps, meter.watch(loader), strict=True),
        label="training", total=settings.iterations, unit="it", start=done,
    )  # fmt: skip


def _validated(
    method: Restorer, held_out: HeldOut, settings: TrainingSettings, fabric: Fabric, *, step: int
) -> tuple[float, float | None]:
    """Loss and NMSE of the held-out slices, of the first process."""
    with fabric.autocast(), _uncompiled(settings):
        found = held_out.measure(method)
    # Running statistics are of a process's own parts; those of the first process are kept.
    loss, nmse = fabric.broadcast(found)
    require_finite(loss, "validation loss", step=step, settings=settings)
    return loss, nmse


def _compile(method: Restorer) -> None:
    # What calls the networks draws from generators, which cannot be compiled. channels_last decides on
    # the memory order; with its own choice the compiler of torch 2.13 fails at padding on the CPU.
    for network in method.children():
        network.compile(options={"layout_optimization": False})


def _uncompiled(settings: TrainingSettings) -> AbstractContextManager[object]:
    # Validation slices differ from patches in size: each size would be compiled again.
    return torch.compiler.set_stance("force_eager") if settings.compile else nullcontext()
