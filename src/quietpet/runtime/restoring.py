"""A method applied to batches of slices: what `restore` and the public functions do alike."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
import torch

from quietpet.data.batches import central_batches, head_extent
from quietpet.data.crop import central_crop
from quietpet.data.dataset import PairDataset
from quietpet.data.measured import MeasuredSlices
from quietpet.data.pairs import Batch
from quietpet.errors import InputError
from quietpet.files.hdf5 import require_finite
from quietpet.files.lineage import Lineage
from quietpet.files.restored import RestoredSlices
from quietpet.jobs.methods import RestoreJob
from quietpet.methods.base import Restorer
from quietpet.methods.registry import build
from quietpet.progress import track
from quietpet.runtime.device import inferring
from quietpet.seeds import torch_generator
from quietpet.training.weights import load_weights


def require_whole_heads(pairs: PairDataset, pixels: int) -> None:
    """Refuse squares of so many ``pixels`` (inference.pixels) that would cut heads."""
    if pixels < (extent := head_extent(pairs)):
        raise InputError(
            f"inference.pixels = {pixels} would cut the heads of {pairs.path}, "
            f"which reach over {extent} pixels; make it larger."
        )


def learned_method(job: RestoreJob, weights: Path | None) -> tuple[Restorer, list[tuple[Path, Lineage]]]:
    """The method, and the weights whose lineage the slices must share: those of the same data set.

    Raises InputError if there are no weights and the method needs some.
    """
    if weights is None:
        if job.model.fitted:
            raise InputError(f"restore of {job.method}: --in lacks weights=PATH, which `fit` makes.")
        return build(job.model).eval(), []
    method, lineage = load_weights(weights, job.model)
    return method, [] if job.weights_of not in (None, job.dataset) else [(weights, lineage)]


def restored_record(
    method: Restorer,
    pairs: PairDataset,
    job: RestoreJob,
    measured: MeasuredSlices | None,
    device: torch.device,
    *,
    called: str = "",
) -> RestoredSlices:
    """All slices of ``pairs`` restored on ``device``; ``called`` tells this run from others in the log.

    ``single`` and ``mean`` are clipped at zero, because activity is not negative; ``mean`` only after
    averaging, so that clipping does not bias it.
    """
    label = f"restoring with {job.method}{called}"
    batches = _batches_of(pairs, job, measured, device, label=label)
    images = restored_slices(method, batches, job, pixels=pairs.pixels)
    return RestoredSlices(
        dataset=job.dataset,
        setting=job.setting,
        method=job.method,
        learning=job.learning,
        replicate=job.replicate,
        samples=job.model.samples,
        lineage=pairs.lineage,
        key=pairs.keys,
        single=images["single"],
        mean=images.get("mean"),
        standard_deviation=images.get("standard_deviation"),
        origin=label,
    )


def _batches_of(
    pairs: PairDataset,
    job: RestoreJob,
    measured: MeasuredSlices | None,
    device: torch.device,
    *,
    label: str,
) -> Iterator[Batch]:
    """Central squares of all slices on ``device``, with their measurement if it is given."""
    size = job.inference.batch_size
    batches = central_batches(pairs, pixels=job.inference.pixels, batch_size=size)
    total = -(-len(pairs) // size)
    for batch in track(batches, label=label, total=total, unit="batch"):
        moved = batch.to(device)
        yield measured.attach(moved) if measured else moved


def restored_slices(
    method: Restorer, batches: Iterable[Batch], job: RestoreJob, *, pixels: int
) -> dict[str, np.ndarray]:
    """The restored images (slice, y, x) of all ``batches``, on the device of ``method``, by name.

    They are in the unit of the data and ``pixels`` wide, with 0 outside the squares of the batches.
    Raises InputError for values that are not finite.
    """
    restored = [_restored(method, batch, job) for batch in batches]
    arrays = {
        name: central_crop(np.concatenate([images[name] for images in restored]), pixels)
        for name in restored[0]
    }
    for name, images in arrays.items():
        require_finite(images, f"{job.method}: restored {name!r}")
    return arrays


def _restored(method: Restorer, batch: Batch, job: RestoreJob) -> dict[str, np.ndarray]:
    """Images (slice, y, x) of one batch, in the unit of the data."""
    drawn = (_generators(batch, job, number) for number in range(job.model.samples))
    scale = batch.scale[:, None, None, None]
    with inferring(batch.low.device, half=job.half):
        images = _summary(sample * scale for sample in method.samples(batch, drawn))
    return {name: image[:, 0].float().cpu().numpy() for name, image in images.items()}


def _summary(samples: Iterator[torch.Tensor]) -> dict[str, torch.Tensor]:
    """The first of the samples, and of several their mean and sample standard deviation, in one pass."""
    single = mean = next(samples)
    squares = torch.zeros_like(mean)
    count = 1
    for count, sample in enumerate(samples, start=2):
        before = sample - mean
        mean = mean + before / count
        squares = squares + before * (sample - mean)  # Welford (1962)
    images = {"single": single.clamp(min=0)}
    if count > 1:
        images |= {"mean": mean.clamp(min=0), "standard_deviation": (squares / (count - 1)).sqrt()}
    return images


def _generators(batch: Batch, job: RestoreJob, number: int) -> list[torch.Generator]:
    """Of sample ``number`` of every slice, whose noise is seeded by the slice's own name."""
    return [
        torch_generator(job.study_seed, *job.noise_names, key, "sample", number) for key in batch.keys
    ]
