"""One training: its processes, its batches and the loop that runs on them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from quietpet.config.methods import require_batch
from quietpet.data.batches import ResidentBatches, StepBatches, head_square
from quietpet.data.dataset import PairDataset
from quietpet.data.joint import JointPairs
from quietpet.errors import InputError
from quietpet.jobs.methods import FitJob
from quietpet.methods.base import Restorer
from quietpet.runtime.device import compute_device, free_bytes, process_count, require_precision
from quietpet.runtime.learning_data import LearningData
from quietpet.runtime.measuring import with_measurements
from quietpet.tasks import step_tasks
from quietpet.training.checkpoint import Checkpoint, LogRow

if TYPE_CHECKING:
    from lightning_fabric import Fabric

WORKERS_PER_GPU = 2
"""Processes that prepare batches for a GPU that the data do not fit; on a CPU they would compete with
the network."""

RESIDENT_SHARE = 0.25
"""Training images are kept on the device if they fit this share of its free memory."""


def names_of(job: FitJob) -> tuple[str, ...]:
    """What seeds the draws of the job."""
    return (job.dataset, job.setting, job.method, *job.stages, job.replicate)


def fabric_of(job: FitJob, *, groups: int) -> Fabric:
    """The processes of this training; a precision that the device has not, and shares of a batch that
    are too small, are refused.
    """
    from quietpet.training.processes import start  # noqa: PLC0415 (slow; filters do without Fabric)

    device, processes = compute_device(), process_count()
    require_precision(job.training.precision, device, key="training.precision")
    try:
        require_batch(job.model, job.training.batch_size, f"methods.{job.method}", processes=processes)
    except ValueError as error:
        raise InputError(f"{error}.") from None
    return start(job.training, device, processes=processes, tasks=step_tasks(), groups=groups)


def trained(
    method: Restorer,
    job: FitJob,
    data: LearningData,
    *,
    checkpoint: Checkpoint,
    report: Callable[[Sequence[LogRow]], None],
    fabric: Fabric,
) -> tuple[LogRow, ...]:
    """Train ``method`` in place on ``data``; return its log."""
    from quietpet.training.loop import train  # noqa: PLC0415 (slow; filters do without Fabric)

    settings, names, device = job.training, names_of(job), fabric.device
    parts, learned = data.parts, data.learned
    pairs = parts[0] if len(parts) == 1 else JointPairs(parts)
    drawn = StepBatches(
        pairs,
        study_seed=job.study_seed,
        names=names,
        batch_size=settings.batch_size,
        patch_pixels=settings.patch_pixels,
        flip=settings.flip,
        patch_steps=settings.patch_steps,
        processes=fabric.world_size,
        divisor=job.model.divisor,
        whole_pixels=_whole_pixels(job, pairs) if learned else None,
    )
    resident = ResidentBatches.bytes(pairs) <= RESIDENT_SHARE * free_bytes(device)
    batches = ResidentBatches(drawn, device) if resident else drawn
    return train(
        method,
        batches=with_measurements(batches, parts, learned) if learned else batches,
        validation=data.validation(job, device),
        restored=data.restored(job, device),
        settings=settings,
        study_seed=job.study_seed,
        names=names,
        checkpoint=checkpoint,
        fabric=fabric,
        start=data.start,
        # A projector is never copied to another process.
        workers=0 if resident or learned or device.type == "cpu" else WORKERS_PER_GPU,
        report=report,
    )


def _whole_pixels(job: FitJob, pairs: PairDataset | JointPairs) -> int:
    """The square of a training on measured slices: it holds the heads, and is no larger than need be."""
    return head_square(pairs, divisor=job.model.divisor, step=16)
