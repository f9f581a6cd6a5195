"""Stage fit: training and validation slices -> weights and training log."""

from __future__ import annotations

import logging
from dataclasses import asdict, fields

import torch

from quietpet.data.batches import ResidentBatches, StepBatches, central_batches, head_square
from quietpet.data.dataset import PairDataset
from quietpet.jobs import FitJob
from quietpet.methods.registry import build, model_module
from quietpet.provenance import Stopwatch, file_digest, fingerprint, provenance, settings_digest
from quietpet.seeds import named_seed
from quietpet.stages.device import compute_device, free_bytes
from quietpet.stages.files import Files
from quietpet.stages.lineage import common_lineage
from quietpet.stages.sinograms import measured_slices
from quietpet.store import write_csv, write_text
from quietpet.training.card import model_card
from quietpet.training.checkpoint import Checkpoint, LogRow
from quietpet.training.loop import train
from quietpet.training.weights import save_weights

logger = logging.getLogger(__name__)

WORKERS_PER_GPU = 2
"""Processes that prepare batches for a GPU that the data do not fit; on a CPU they would compete with
the network."""

RESIDENT_SHARE = 0.25
"""Training images are kept on the device if they fit this share of its free memory."""


def run(job: FitJob, inputs: Files, outputs: Files) -> None:
    """Inputs ``train`` and ``validation``; outputs ``weights`` (safetensors) and ``log`` (CSV).

    If asked for, also ``card``: Markdown that says what the weights are, and what not.
    A method that reconstructs also takes the ``sinograms`` of all validation subjects.
    """
    watch, device = Stopwatch(), compute_device()
    pairs, held_out = (PairDataset(inputs.one(name)) for name in ("train", "validation"))
    names = (job.dataset, job.setting, job.method, job.replicate)
    settings = job.training
    validation = [
        batch.to(device)
        for batch in central_batches(
            held_out, pixels=head_square(held_out), batch_size=settings.batch_size
        )
    ]
    if job.acquisition:
        measured = measured_slices(inputs.many("sinograms"), held_out, job.acquisition, device)
        validation = [measured.attach(batch) for batch in validation]
    torch.manual_seed(named_seed(job.study_seed, *names, "initial weights"))
    method = build(job.model)
    logger.info("%s: %d parameters", job.method, method.parameter_count)
    drawn = StepBatches(
        pairs,
        study_seed=job.study_seed,
        names=names,
        batch_size=settings.batch_size,
        patch_pixels=settings.patch_pixels,
        flip=settings.flip,
    )
    learns = len(method.groups()) > 0
    resident = learns and ResidentBatches.bytes(pairs) <= RESIDENT_SHARE * free_bytes(device)
    checkpoint = Checkpoint(outputs.one("weights"), digest=_job_digest(job, inputs))
    rows = train(
        method,
        batches=ResidentBatches(drawn, device) if resident else drawn,
        validation=validation,
        settings=settings,
        study_seed=job.study_seed,
        names=names,
        checkpoint=checkpoint,
        device=device,
        workers=0 if resident or device.type == "cpu" else WORKERS_PER_GPU,
    )
    write_csv(outputs.one("log"), [field.name for field in fields(LogRow)], map(asdict, rows))
    lineage = common_lineage([(each.path, each.lineage) for each in (pairs, held_out)])
    origin = provenance(
        "fit",
        settings=job.model_dump(mode="json"),
        inputs=inputs.all(),
        watch=watch,
        device=str(device),
        also=(model_module(job.model),),
    )
    save_weights(outputs.one("weights"), method, settings=job.model, lineage=lineage, provenance=origin)
    if card := outputs.get("card"):
        data = {"training": pairs, "validation": held_out}
        text = model_card(
            title=f"{job.method}, trained on {job.dataset}/{job.setting}, replicate {job.replicate}",
            model=job.model,
            training=settings,
            data={part: _described(each) for part, each in data.items()},
            rows=rows,
            provenance=origin,
        )
        write_text(card, text)
    checkpoint.remove()


def _described(pairs: PairDataset) -> str:
    """A data set in one sentence."""
    lineage = ", ".join(f"{name} {value}" for name, value in pairs.lineage.items())
    return (
        f"{pairs.dataset}/{pairs.setting}, {len(pairs)} slices of {len(set(pairs.subjects))} subject(s) "
        f"({', '.join(dict.fromkeys(pairs.subjects))}), {pairs.pixels} x {pairs.pixels} pixels of "
        f"{pairs.pixel_mm:.4g} mm; {lineage}"
    )


def _job_digest(job: FitJob, inputs: Files) -> str:
    """Names everything that a training depends on: settings, code and data."""
    return settings_digest(
        {
            "job": job.model_dump(mode="json"),
            "code": fingerprint("stages.fit", model_module(job.model)),
            "data": [file_digest(path) for path in inputs.all()],
        }
    )
