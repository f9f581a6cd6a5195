"""Stage fit: training and validation slices -> weights and training log."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import torch

from quietpet.config.methods import require_batch
from quietpet.config.networks import TrainingSettings
from quietpet.data.batches import ResidentBatches, StepBatches, central_batches, head_square, spread_rows
from quietpet.data.dataset import PairDataset
from quietpet.data.joint import JointPairs
from quietpet.data.measured import MeasuredSlices
from quietpet.data.pairs import Batch
from quietpet.errors import InputError
from quietpet.files.lineage import common_lineage
from quietpet.files.named import Files
from quietpet.files.rates import RateTrials, read_rate_trials
from quietpet.files.text import write_text
from quietpet.fingerprint.walk import fingerprint
from quietpet.jobs.methods import FitJob
from quietpet.methods.base import Restorer
from quietpet.methods.registry import build
from quietpet.provenance import Stopwatch, file_digest, provenance, settings_digest
from quietpet.runtime.device import (
    compute_device,
    free_bytes,
    process_count,
    require_precision,
)
from quietpet.runtime.measuring import (
    engines_behind,
    measured_slices,
    training_slices,
    with_measurements,
)
from quietpet.seeds import named_seed
from quietpet.training.card import model_card
from quietpet.training.checkpoint import Checkpoint, LogRow
from quietpet.training.log import TrainingLog
from quietpet.training.memory import keep_freed_memory
from quietpet.training.weights import load_weights, save_weights

if TYPE_CHECKING:
    from lightning_fabric import Fabric

logger = logging.getLogger(__name__)

WORKERS_PER_GPU = 2
"""Processes that prepare batches for a GPU that the data do not fit; on a CPU they would compete with
the network."""

RESIDENT_SHARE = 0.25
"""Training images are kept on the device if they fit this share of its free memory."""


def run(job: FitJob, inputs: Files, outputs: Files) -> None:
    """Inputs ``train`` and ``validation``; outputs ``weights`` (safetensors) and ``log`` (CSV).

    There may be several ``train``, in the order of ``job.trained_on``. A later stage of learning takes
    the weights it starts from as ``start``.
    If asked for, also ``card``: Markdown that says what the weights are, and what not.
    Where the learning rate is chosen, ``rate`` is the file of the stage ``learning_rate``.
    A method that reconstructs also takes the ``sinograms`` of all validation subjects, and if it is
    trained the ``train_sinograms`` of all training subjects.
    """
    keep_freed_memory()
    watch = Stopwatch()
    settings = job.model_dump(mode="json")
    chosen = _rate_trials(job, inputs.get("rate"))
    if chosen:
        job = _at_rate(job, chosen)
    torch.manual_seed(named_seed(job.study_seed, *_names(job), "initial weights"))
    method = build(job.model.for_training())  # validation draws samples, whatever sampler is chosen
    fabric = _fabric(job, groups=len(method.groups())) if method.groups() else None
    device = fabric.device if fabric else compute_device()
    processes = fabric.world_size if fabric else 1
    parts = [PairDataset(path) for path in inputs.many("train")]
    held_out = PairDataset(inputs.one("validation"))
    own = (job.dataset, job.setting)
    _require_data(parts, job.trained_on or (own,))
    _require_data([held_out], (own,))
    start = _start(job, inputs.get("start"))
    log = TrainingLog(outputs.one("log"), names=_names(job))
    checkpoint = Checkpoint(outputs.one("weights"), digest=_job_digest(job, inputs, fabric))
    measured = measured_slices(job, inputs, held_out, device)
    learned = training_slices(job, inputs, parts, device)
    square = head_square(held_out, divisor=job.model.divisor)

    def held_out_batches(rows: Sequence[int]) -> list[Batch]:
        batches = central_batches(held_out, pixels=square, batch_size=job.training.batch_size, rows=rows)
        moved = [batch.to(device) for batch in batches]
        return [measured.attach(batch) for batch in moved] if measured else moved

    logger.info("%s: %d parameters", job.method, method.parameter_count)
    validation = held_out_batches(range(len(held_out)))
    rows: tuple[LogRow, ...] = ()
    if fabric:
        rows = _trained(
            method,
            job,
            parts,
            learned,
            validation=validation,
            restored=held_out_batches(_restored_rows(held_out, job.training)),
            start=start,
            checkpoint=checkpoint,
            report=log.report,
            fabric=fabric,
        )
        if not fabric.is_global_zero:
            return
    else:
        method.begin(validation, start)
    # Weights inherit from the data set they are validated on; other stages may have other sources.
    same = [each for each in (*parts, held_out) if each.dataset == job.dataset]
    origin = provenance(
        "fit",
        settings=settings,
        inputs=inputs.all(),
        watch=watch,
        device=f"{processes} x {device.type}" if processes > 1 else str(device),
        also=job.named_code,
        engines=engines_behind(job, held_out),
    ) | ({"learning_rate": job.training.learning_rate} if rows else {})
    save_weights(
        outputs.one("weights"),
        method,
        settings=job.model,
        lineage=common_lineage((each.path, each.lineage) for each in same),
        provenance=origin,
    )
    if card := outputs.get("card"):
        data = {"training": " and ".join(map(_described, parts)), "validation": _described(held_out)}
        if start:
            data["started from"] = f"weights of {inputs.one('start')}, of an earlier stage of learning"
        text = model_card(
            title=f"{job.method}, trained for {job.dataset}/{job.setting}, replicate {job.replicate}",
            model=job.model,
            parameters=method.parameter_count,
            training=job.training,
            data=data,
            rows=rows,
            rate=chosen.describe() if chosen else "",
            provenance=origin,
        )
        write_text(card, text)
    log.finish(rows)
    checkpoint.remove()


def _rate_trials(job: FitJob, path: Path | None) -> RateTrials | None:
    """What chose the learning rate of the job's method; None where it is given."""
    trials = job.training.learning_rate_trials
    if trials is None:
        if path is not None:
            raise InputError(
                f"{path}: the learning rate of {job.method} is given, not chosen; leave this file out."
            )
        return None
    if path is None:
        raise InputError(
            f"fit of {job.method}: training.learning_rate_trials chooses its learning rate; --in lacks "
            "rate=PATH, which `learning_rate` makes."
        )
    found = read_rate_trials(path, method=job.method)
    if found.chosen.factor not in trials.factors:
        raise InputError(
            f"{path}: chose {found.chosen.factor:g} times the learning rate, but the factors are now "
            f"{', '.join(f'{each:g}' for each in trials.factors)}; run `learning_rate` again."
        )
    return found


def _at_rate(job: FitJob, found: RateTrials) -> FitJob:
    return job.model_copy(update={"training": job.training.at_factor(found.chosen.factor)})


def _fabric(job: FitJob, *, groups: int) -> Fabric:
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
    return start(job.training, device, processes=processes, groups=groups)


def _trained(
    method: Restorer,
    job: FitJob,
    parts: Sequence[PairDataset],
    learned: Sequence[MeasuredSlices],
    *,
    validation: Sequence[Batch],
    restored: Sequence[Batch],
    start: Restorer | None,
    checkpoint: Checkpoint,
    report: Callable[[Sequence[LogRow]], None],
    fabric: Fabric,
) -> tuple[LogRow, ...]:
    """Train ``method`` in place on all ``parts``, measured as ``learned``; return its log."""
    from quietpet.training.loop import train  # noqa: PLC0415 (slow; filters do without Fabric)

    settings, names, device = job.training, _names(job), fabric.device
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
        validation=validation,
        restored=restored,
        settings=settings,
        study_seed=job.study_seed,
        names=names,
        checkpoint=checkpoint,
        fabric=fabric,
        start=start,
        # A projector is never copied to another process.
        workers=0 if resident or learned or device.type == "cpu" else WORKERS_PER_GPU,
        report=report,
    )


def _whole_pixels(job: FitJob, pairs: PairDataset | JointPairs) -> int:
    """The square of a training on measured slices: it holds the heads, and is no larger than need be."""
    return head_square(pairs, divisor=job.model.divisor, step=16)


def _restored_rows(held_out: PairDataset, settings: TrainingSettings) -> Sequence[int]:
    """Rows of the slices that tell which weights are kept."""
    if settings.select_by == "last":
        return ()
    return spread_rows(len(held_out), min(settings.validation_slices, len(held_out)))


def _require_data(parts: Sequence[PairDataset], wanted: Sequence[tuple[str, str]]) -> None:
    """Refuse files that hold other data sets or settings than the job names, or in another order."""
    found = [(part.dataset, part.setting) for part in parts]
    if found != list(wanted):
        named = [
            ", ".join(f"{dataset}/{setting}" for dataset, setting in each) for each in (found, wanted)
        ]
        raise InputError(f"{parts[0].path}: the data given are {named[0]}, this job learns {named[1]}.")


def _start(job: FitJob, weights: Path | None) -> Restorer | None:
    if job.continues != (weights is not None):
        problem = "starts from the weights of another" if job.continues else "is the first of its kind"
        raise InputError(f"fit of {job.method}: this training {problem}; give `start` for later stages.")
    return load_weights(weights, job.model)[0] if weights else None


def _described(pairs: PairDataset) -> str:
    """A data set in one sentence."""
    lineage = ", ".join(f"{name} {value}" for name, value in pairs.lineage.items())
    return (
        f"{pairs.dataset}/{pairs.setting}, {len(pairs)} slices of {len(set(pairs.subjects))} subject(s) "
        f"({', '.join(dict.fromkeys(pairs.subjects))}), {pairs.pixels} x {pairs.pixels} pixels of "
        f"{pairs.pixel_mm:.4g} mm; {lineage}"
    )


def _names(job: FitJob) -> tuple[str, ...]:
    """What seeds the draws of the job."""
    return (job.dataset, job.setting, job.method, *job.stages, job.replicate)


def _job_digest(job: FitJob, inputs: Files, fabric: Fabric | None) -> str:
    """Names everything that a training depends on: settings, code and data."""
    return settings_digest(
        {
            "job": job.model_dump(mode="json"),
            "code": fingerprint("stages.fit", *job.named_code),
            "processes": fabric.world_size if fabric else 1,
            "data": [file_digest(path) for path in inputs.all()],
        }
    )
