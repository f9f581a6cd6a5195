"""Quality and cost of each sampler of a diffusion method, measured on validation slices."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import asdict

import numpy as np
import torch

from quietpet.data.batches import central_batches
from quietpet.data.crop import central_crop
from quietpet.data.dataset import PairDataset
from quietpet.data.pairs import Batch
from quietpet.evaluation.sampling import SamplingRow, quality
from quietpet.jobs.methods import PlanJob
from quietpet.methods.base import Restorer
from quietpet.methods.registry import build
from quietpet.progress import track
from quietpet.runtime.device import inferring, placed
from quietpet.seeds import torch_generator


def measured_samplers(
    job: PlanJob,
    trained: Restorer,
    pairs: PairDataset,
    rows: Sequence[int],
    device: torch.device,
) -> tuple[SamplingRow, ...]:
    """Each candidate of the planner with the weights of ``trained``, on the slices ``rows``.

    All start from the same noise, seeded by slice and sample.
    """
    size, pixels = job.inference.batch_size, job.inference.pixels
    squares = central_batches(pairs, pixels=pixels, batch_size=size, rows=rows)
    batches = [batch.to(device) for batch in squares]
    candidates = job.planner.candidates(job.diffusion)
    measured = []
    for settings in track(
        candidates, label=f"planning {job.method}", total=len(candidates), unit="sampler"
    ):
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
    return tuple(measured)


def _sampled(method: Restorer, batches: Sequence[Batch], job: PlanJob, number: int) -> np.ndarray:
    """Sample ``number`` of every slice (slice, y, x), in the unit of the data, clipped as restored."""
    names = (*job.noise_names, "plan")
    images = []
    for batch in batches:
        with inferring(batch.low.device, half=job.half):
            generators = [torch_generator(job.study_seed, *names, key, number) for key in batch.keys]
            restored = method.restore(batch, generators) * batch.scale[:, None, None, None]
            images.append(restored.clamp(min=0)[:, 0].float().cpu().numpy())
    return np.concatenate(images)
