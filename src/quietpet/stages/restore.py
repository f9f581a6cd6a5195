"""Stage restore: weights and test slices -> restored slices in their original unit."""

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
from quietpet.files.hdf5 import require_finite, write_hdf5
from quietpet.files.lineage import Lineage, common_lineage
from quietpet.files.named import Files
from quietpet.jobs.methods import RestoreJob
from quietpet.methods.base import Restorer
from quietpet.methods.registry import build
from quietpet.progress import track
from quietpet.provenance import Stopwatch, provenance
from quietpet.runtime.device import compute_device, inferring, placed
from quietpet.runtime.measuring import engines_behind, measured_slices
from quietpet.seeds import torch_generator
from quietpet.training.memory import keep_freed_memory
from quietpet.training.weights import load_weights

_NAMES = {"dataset", "setting", "method", "learning", "replicate"}


def run(job: RestoreJob, inputs: Files, outputs: Files) -> None:
    """Inputs ``test`` and, of methods that have any, ``weights``; output ``restored``, HDF5.

    A method that reconstructs also takes the ``sinograms`` of all test subjects.
    Arrays (slice, y, x) float32, zero outside the restored square: ``single``, and of several samples
    their ``mean`` and ``standard_deviation``, which no score reads. ``single`` and ``mean`` are clipped
    at zero, because activity is not negative; ``mean`` only after averaging, so that clipping does not
    bias it.
    """
    keep_freed_memory()
    watch, device = Stopwatch(), compute_device()
    pairs = PairDataset(inputs.one("test"))
    if job.inference.pixels < (extent := head_extent(pairs)):
        raise InputError(
            f"inference.pixels = {job.inference.pixels} would cut the heads of {pairs.path}, "
            f"which reach over {extent} pixels; make it larger."
        )
    method, learned = _learned(job, inputs.get("weights"))
    placed(method, device, half=job.half)
    measured = measured_slices(job, inputs, pairs, device)
    batches = central_batches(pairs, pixels=job.inference.pixels, batch_size=job.inference.batch_size)
    total = -(-len(pairs) // job.inference.batch_size)
    batches = track(batches, label=f"restoring with {job.method}", total=total, unit="batch")
    placed_batches = (_on(device, batch, measured) for batch in batches)
    arrays = restored_slices(method, placed_batches, job, pixels=pairs.pixels)
    write_hdf5(
        outputs.one("restored"),
        kind="restored",
        arrays={**arrays, "key": np.array(pairs.keys)},
        attributes={
            **job.model_dump(mode="json", include=_NAMES),
            "samples": job.model.samples,
            "lineage": common_lineage([*learned, (pairs.path, pairs.lineage)]),
            "provenance": provenance(
                "restore",
                settings=job.model_dump(mode="json"),
                inputs=inputs.all(),
                watch=watch,
                device=str(device),
                also=job.named_code,
                engines=engines_behind(job, pairs),
            ),
        },
    )


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


def _learned(job: RestoreJob, weights: Path | None) -> tuple[Restorer, list[tuple[Path, Lineage]]]:
    """The method, and the weights whose lineage the slices must share: those of the same data set.

    Raises InputError if there are no weights and the method needs some.
    """
    if weights is None:
        if job.model.fitted:
            raise InputError(f"restore of {job.method}: --in lacks weights=PATH, which `fit` makes.")
        return build(job.model).eval(), []
    method, lineage = load_weights(weights, job.model)
    return method, [] if job.weights_of not in (None, job.dataset) else [(weights, lineage)]


def _on(device: torch.device, batch: Batch, measured: MeasuredSlices | None) -> Batch:
    moved = batch.to(device)
    return measured.attach(moved) if measured else moved


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
    names = (job.dataset, job.setting, job.method, job.replicate)
    return [torch_generator(job.study_seed, *names, key, "sample", number) for key in batch.keys]
