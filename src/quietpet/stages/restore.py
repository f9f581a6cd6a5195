"""Stage restore: weights and test slices -> restored slices in their original unit."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from quietpet.data.dataset import PairDataset
from quietpet.errors import InputError
from quietpet.files.lineage import Lineage, common_lineage
from quietpet.files.named import Files
from quietpet.files.records import write_record
from quietpet.files.restored import RestoredSlices
from quietpet.jobs.methods import RestoreJob
from quietpet.methods.base import Restorer
from quietpet.methods.registry import build
from quietpet.provenance import Stopwatch, provenance
from quietpet.runtime.device import compute_device, placed
from quietpet.runtime.measuring import engines_behind, measured_slices
from quietpet.runtime.restoring import batches_of, require_whole_heads, restored_slices
from quietpet.runtime.t1 import require_t1
from quietpet.training.memory import keep_freed_memory
from quietpet.training.weights import load_weights


def run(job: RestoreJob, inputs: Files, outputs: Files) -> None:
    """Inputs ``test`` and, of methods that have any, ``weights``; output ``restored``, HDF5.

    A method that reconstructs also takes the ``sinograms`` of all test subjects.
    Images are zero outside the restored square. ``single`` and ``mean`` are clipped at zero, because
    activity is not negative; ``mean`` only after averaging, so that clipping does not bias it.
    """
    keep_freed_memory()
    watch, device = Stopwatch(), compute_device()
    pairs = PairDataset(inputs.one("test"))
    require_whole_heads(pairs, job.inference.pixels)
    require_t1(job, pairs)
    method, learned = _learned(job, inputs.get("weights"))
    placed(method, device, half=job.half)
    measured = measured_slices(job, inputs, pairs, device)
    images = restored_slices(method, batches_of(pairs, job, measured, device), job, pixels=pairs.pixels)
    common_lineage([*learned, (pairs.path, pairs.lineage)])
    origin = provenance(
        "restore",
        settings=job.model_dump(mode="json"),
        inputs=inputs.all(),
        watch=watch,
        device=str(device),
        also=job.named_code,
        engines=engines_behind(job, pairs),
    )
    restored = _record(job, images, keys=pairs.keys, lineage=pairs.lineage)
    write_record(outputs.one("restored"), restored, provenance=origin)


def _record(
    job: RestoreJob, images: Mapping[str, np.ndarray], *, keys: list[str], lineage: Lineage
) -> RestoredSlices:
    return RestoredSlices(
        dataset=job.dataset,
        setting=job.setting,
        method=job.method,
        learning=job.learning,
        replicate=job.replicate,
        samples=job.model.samples,
        lineage=lineage,
        key=keys,
        single=images["single"],
        mean=images.get("mean"),
        standard_deviation=images.get("standard_deviation"),
    )


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
