"""Stage plan: weights of a diffusion method and validation slices -> quality of each sampler."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import asdict

import numpy as np

from quietpet.data.batches import central_batches, spread_rows
from quietpet.data.crop import central_crop
from quietpet.data.dataset import PairDataset
from quietpet.data.pairs import Batch
from quietpet.errors import InputError
from quietpet.evaluation.sampling import SamplingPlan, SamplingRow, quality
from quietpet.files.lineage import common_lineage
from quietpet.files.named import Files
from quietpet.files.text import write_json
from quietpet.jobs.methods import PlanJob
from quietpet.methods.base import Restorer
from quietpet.methods.registry import build
from quietpet.progress import track
from quietpet.provenance import Stopwatch, provenance
from quietpet.runtime.device import compute_device, inferring, placed
from quietpet.seeds import torch_generator
from quietpet.training.weights import load_weights


def run(job: PlanJob, inputs: Files, outputs: Files) -> None:
    """Inputs ``weights`` and ``validation``; output ``plan``, JSON with all rows and what they propose.

    Every sampler starts from the same noise, seeded by slice and sample.
    """
    watch, device = Stopwatch(), compute_device()
    pairs = PairDataset(inputs.one("validation"))
    if job.planner.slices > len(pairs):
        raise InputError(
            f"planner.slices = {job.planner.slices}, but {pairs.path} holds {len(pairs)} slices."
        )
    rows = spread_rows(len(pairs), job.planner.slices)
    batches = [
        batch.to(device)
        for batch in central_batches(
            pairs, pixels=job.inference.pixels, batch_size=job.inference.batch_size, rows=rows
        )
    ]
    trained, lineage = load_weights(inputs.one("weights"), job.model)
    common_lineage([(inputs.one("weights"), lineage), (pairs.path, pairs.lineage)])
    candidates = job.planner.candidates(job.diffusion)
    measured = []
    bar = track(candidates, label=f"planning {job.method}", total=len(candidates), unit="sampler")
    for settings in bar:
        method = build(settings)
        method.load_state_dict(trained.state_dict())
        placed(method, device, half=job.half)
        began = time.monotonic()
        samples = [_sampled(method, batches, job, k) for k in range(job.planner.samples_per_slice)]
        drawn_s = time.monotonic() - began
        images = [central_crop(each, pairs.pixels) for each in samples]
        found = quality(
            images, [pairs[row] for row in rows], paper_window_pixels=job.paper_window_pixels
        )
        measured.append(
            SamplingRow(
                dataset=job.dataset,
                setting=job.setting,
                method=job.method,
                sampler=settings.sampler,
                spacing=settings.spacing,
                steps=settings.sampling_steps,
                evaluations=settings.network_evaluations,
                seconds_per_sample=drawn_s / (len(samples) * len(rows)),
                **asdict(found),
            )
        )
    plan = SamplingPlan(rows=tuple(measured), tolerance_db=job.planner.tolerance_db)
    write_json(
        outputs.one("plan"),
        {
            "choices": {name: asdict(row) for name, row in plan.choices.items()},
            "tolerance_db": plan.tolerance_db,
            "rows": [asdict(row) for row in plan.rows],
            "slices": [pairs.keys[row] for row in rows],
            "provenance": provenance(
                "plan",
                settings=job.model_dump(mode="json"),
                inputs=inputs.all(),
                watch=watch,
                device=str(device),
                also=job.named_code,
            ),
        },
    )


def _sampled(method: Restorer, batches: Sequence[Batch], job: PlanJob, number: int) -> np.ndarray:
    """Sample ``number`` of every slice (slice, y, x), in the unit of the data, clipped as restored."""
    names = (job.dataset, job.setting, job.method, job.replicate, "plan")
    images = []
    for batch in batches:
        with inferring(batch.low.device, half=job.half):
            generators = [torch_generator(job.study_seed, *names, key, number) for key in batch.keys]
            restored = method.restore(batch, generators) * batch.scale[:, None, None, None]
            images.append(restored.clamp(min=0)[:, 0].float().cpu().numpy())
    return np.concatenate(images)
