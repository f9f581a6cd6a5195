"""Stage fit: training and validation slices -> weights and training log."""

from __future__ import annotations

import logging
from dataclasses import asdict, fields

import torch

from quietpet.data.batches import StepBatches, central_batches, head_square
from quietpet.data.dataset import PairDataset
from quietpet.jobs import FitJob
from quietpet.methods.registry import build, model_module
from quietpet.provenance import Stopwatch, file_digest, fingerprint, provenance, settings_digest
from quietpet.seeds import named_seed
from quietpet.stages.device import compute_device
from quietpet.stages.files import Files
from quietpet.stages.lineage import common_lineage
from quietpet.stages.sinograms import measured_slices
from quietpet.store import write_csv
from quietpet.training.checkpoint import Checkpoint, LogRow
from quietpet.training.loop import train
from quietpet.training.weights import save_weights

logger = logging.getLogger(__name__)

WORKERS_PER_GPU = 2
"""Processes that prepare batches while a GPU computes; on a CPU they would compete with the network."""


def run(job: FitJob, inputs: Files, outputs: Files) -> None:
    """Inputs ``train`` and ``validation``; outputs ``weights`` (safetensors) and ``log`` (CSV).

    A method that reconstructs also takes the ``sinograms`` of all validation subjects.
    """
    watch, device = Stopwatch(), compute_device()
    pairs = PairDataset(inputs.one("train"), cache=True)
    held_out = PairDataset(inputs.one("validation"))
    names = (job.dataset, job.setting, job.method, job.replicate)
    settings = job.training
    batches = StepBatches(
        pairs,
        study_seed=job.study_seed,
        names=names,
        batch_size=settings.batch_size,
        patch_pixels=settings.patch_pixels,
        flip=settings.flip,
    )
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
    checkpoint = Checkpoint(outputs.one("weights"), digest=_job_digest(job, inputs))
    rows = train(
        method,
        batches=batches,
        validation=validation,
        settings=settings,
        study_seed=job.study_seed,
        names=names,
        checkpoint=checkpoint,
        device=device,
        workers=WORKERS_PER_GPU if device.type == "cuda" else 0,
    )
    write_csv(outputs.one("log"), [field.name for field in fields(LogRow)], map(asdict, rows))
    save_weights(
        outputs.one("weights"),
        method,
        settings=job.model,
        lineage=common_lineage([(each.path, each.lineage) for each in (pairs, held_out)]),
        provenance=provenance(
            "fit",
            settings=job.model_dump(mode="json"),
            inputs=inputs.all(),
            watch=watch,
            device=str(device),
            also=(model_module(job.model),),
        ),
    )
    checkpoint.remove()


def _job_digest(job: FitJob, inputs: Files) -> str:
    """Names everything that a training depends on: settings, code and data."""
    return settings_digest(
        {
            "job": job.model_dump(mode="json"),
            "code": fingerprint("stages.fit", model_module(job.model)),
            "data": [file_digest(path) for path in inputs.all()],
        }
    )
