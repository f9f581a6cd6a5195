"""What one method of a configuration costs to train and to apply, in a process of its own.

    python benchmarks/cost.py config.yaml --method unet

`benchmarks/networks.py --cost` calls this for every method. It trains in the loop of the package, with
the training settings of the configuration, on made-up noisy heads; so many iterations and three times
as many, whose difference is free of what a training costs once. Of methods that reconstruct, every
slice has the sinogram of a head at the size of the scanner's.
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

os.environ |= dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1")

import torch
from peers import embedded_engine
from problem import LOW, measurement
from training import write_pairs

from quietpet.data.batches import ResidentBatches, StepBatches, central_batches
from quietpet.data.dataset import PairDataset
from quietpet.data.measured import MeasuredBatches, MeasuredSlices
from quietpet.data.pairs import Batch
from quietpet.jobs.methods import FitJob
from quietpet.methods.base import Restorer
from quietpet.methods.registry import build
from quietpet.study.reading import load_study, read_yaml
from quietpet.study.root import Study
from quietpet.study.select_learning import fit_job
from quietpet.training.checkpoint import Checkpoint
from quietpet.training.loop import train
from quietpet.training.processes import start
from quietpet.usage import peak_resident_mib

REPLICATE = "r0"

HELD_OUT = 2
"""Slices that are tuned and validated on."""


@dataclass(frozen=True, kw_only=True)
class Cost:
    """Of one core; None: the method is not trained."""

    core_s_per_1000_iterations: float | None
    core_ms_per_slice: float
    peak_mib: float


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("configfile", type=Path)
    parser.add_argument("--method", required=True)
    parser.add_argument("--iterations", type=int, default=10)
    options = parser.parse_args()
    torch.set_num_threads(1)
    study = load_study(read_yaml(options.configfile), origin=str(options.configfile))
    found = measured_cost(study, options.method, iterations=options.iterations)
    print(json.dumps(asdict(found)))


def measured_cost(study: Study, name: str, *, iterations: int) -> Cost:
    """The method trained for ``iterations`` and three times as many; then applied to one batch."""
    torch.manual_seed(0)
    with tempfile.TemporaryDirectory() as folder:
        pairs = PairDataset(write_pairs(Path(folder) / "train.h5", pixels=study.inference.pixels))
        return _cost_on(pairs, study, name, iterations=iterations)


def _cost_on(pairs: PairDataset, study: Study, name: str, *, iterations: int) -> Cost:
    settings = study.methods[name]
    measured = sinograms(pairs.keys) if settings.reconstructs else None

    def whole(slices: int) -> Batch:
        (batch,) = central_batches(
            pairs, pixels=study.inference.pixels, batch_size=slices, rows=range(slices)
        )
        return measured.attach(batch) if measured else batch

    method, held_out = build(settings), whole(HELD_OUT)
    per_1000 = None
    if method.groups():
        data = study.tried_on
        job = fit_job(
            study, dataset=data.dataset, setting=data.setting, method=name, replicate=REPLICATE
        )
        few, many = (
            _training_s(job, pairs, held_out, iterations=each, measured=measured)
            for each in (iterations, 3 * iterations)
        )
        per_1000 = 1000 * (many - few) / (2 * iterations)
    else:
        method.tune([held_out])
    batch = whole(study.inference.batch_size)
    restoring_s = _restoring_s(method.eval(), batch, samples=settings.samples)
    return Cost(
        core_s_per_1000_iterations=per_1000,
        core_ms_per_slice=1000 * restoring_s / len(batch.keys),
        peak_mib=peak_resident_mib(),
    )


def sinograms(keys: Sequence[str]) -> MeasuredSlices:
    """Of a head, with noise of its own for each of the slices ``keys``."""
    engine = embedded_engine(rays=1, batch=len(keys))
    return MeasuredSlices(
        keys, measurement(engine.projector, engine.bins, psf_fwhm_mm=LOW.psf_fwhm_mm, batch=len(keys))
    )


def _training_s(
    job: FitJob,
    pairs: PairDataset,
    held_out: Batch,
    *,
    iterations: int,
    measured: MeasuredSlices | None,
) -> float:
    """Core seconds of ``iterations`` as ``job`` has them, and of one validation at their end."""
    settings = job.training.model_copy(
        update={"iterations": iterations, "validate_every": iterations, "warmup_iterations": 0}
    )
    names, device = ("benchmark",), torch.device("cpu")
    drawn = StepBatches(
        pairs,
        study_seed=0,
        names=names,
        batch_size=settings.batch_size,
        patch_pixels=settings.patch_pixels,
        flip=settings.flip,
        patch_steps=settings.patch_steps,
    )
    batches = ResidentBatches(drawn, device)
    method = build(job.model)

    def run(folder: str) -> None:
        train(
            method,
            batches=MeasuredBatches(batches, [(pairs.keys, measured)]) if measured else batches,
            validation=[held_out],
            settings=settings,
            study_seed=0,
            names=names,
            checkpoint=Checkpoint(Path(folder) / "weights.safetensors", digest="benchmark"),
            fabric=start(settings, device, groups=len(method.groups())),
        )

    with tempfile.TemporaryDirectory() as folder:
        return _core_s(lambda: run(folder))


def _restoring_s(method: Restorer, batch: Batch, *, samples: int) -> float:
    def restore() -> None:
        drawn = (
            [torch.Generator().manual_seed(number) for _ in batch.keys] for number in range(samples)
        )
        for _ in method.samples(batch, drawn):
            pass

    with torch.inference_mode():
        restore()
        return _core_s(restore)


def _core_s(call: Callable[[], object]) -> float:
    began = time.process_time()
    call()
    return time.process_time() - began


if __name__ == "__main__":
    main()
