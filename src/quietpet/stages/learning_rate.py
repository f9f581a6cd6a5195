"""Stage learning_rate: short trainings of one method -> the learning rate of all its trainings."""

from __future__ import annotations

import csv
import logging
import math
import shutil
from pathlib import Path

from quietpet.errors import InputError
from quietpet.files.named import Files
from quietpet.files.rates import RateTrial, RateTrials
from quietpet.files.text import write_json
from quietpet.fingerprint.walk import fingerprint
from quietpet.jobs.methods import LearningRateJob
from quietpet.outputs.digests import forget_digests, is_as_made, keep_digests
from quietpet.provenance import Stopwatch, file_digest, provenance, settings_digest
from quietpet.runtime.device import PROCESSES_VARIABLE, process_count
from quietpet.stages import fit
from quietpet.training.diverged import Diverged

logger = logging.getLogger(__name__)


def run(job: LearningRateJob, inputs: Files, outputs: Files) -> None:
    """Inputs as of ``fit``; output ``rate``, JSON with all trials and the one that is chosen.

    All trials begin with the same weights and see the same batches. A trial is a run of ``fit`` whose
    files lie in a hidden folder beside the output until all have ended, so that an interrupted job goes
    on where it was.

    Raises:
        InputError: every trial diverged, or several processes are asked for.
    """
    if process_count() > 1:
        raise InputError(
            f"{PROCESSES_VARIABLE}={process_count()}: trials of a learning rate run in one process; "
            "leave it out, or give --gpus 1."
        )
    watch = Stopwatch()
    target = outputs.one("rate")
    scratch = target.with_name(f".{target.name}.trials-{_digest(job, inputs)}")
    trials = tuple(_tried(job, factor, inputs, scratch) for factor in job.trials.factors)
    if all(trial.nmse is None for trial in trials):
        rates = ", ".join(f"{trial.learning_rate:g}" for trial in trials)
        raise InputError(
            f"{job.method}: no trial of the learning rates {rates} gave a finite image; lower "
            "training.learning_rate, or set training.gradient_clip."
        )
    found = RateTrials(method=job.method, iterations=job.trials.iterations, trials=trials)
    logger.info("%s: %s", job.method, found.describe())
    origin = provenance(
        "learning_rate",
        settings=job.model_dump(mode="json"),
        inputs=inputs.all(),
        watch=watch,
        also=job.named_code,
    )
    write_json(target, {**found.record(), "provenance": origin})
    for left in target.parent.glob(f".{target.name}.trials-*"):
        forget_digests(left.glob("*/log.csv"))
        shutil.rmtree(left, ignore_errors=True)


def _tried(job: LearningRateJob, factor: float, inputs: Files, scratch: Path) -> RateTrial:
    """One trial, unless its log is there already, and as it was made."""
    folder = scratch / f"{factor:g}"
    log, diverged = folder / "log.csv", folder / "diverged"
    settings = job.training.trial(factor)
    if not diverged.is_file() and not (log.is_file() and is_as_made(log)):
        folder.mkdir(parents=True, exist_ok=True)
        files = Files({"weights": [folder / "weights.safetensors"], "log": [log]})
        try:
            fit.run(job.model_copy(update={"training": settings}), inputs, files)
            keep_digests([log])
        except Diverged as error:
            logger.info("%s: learning rate %g: %s", job.method, settings.learning_rate, error)
            diverged.touch()
    nmse = None if diverged.is_file() else _least_nmse(log)
    return RateTrial(factor=factor, learning_rate=settings.learning_rate, nmse=nmse)


def _least_nmse(log: Path) -> float | None:
    with log.open(newline="") as stream:
        least = min(float(row["nmse"]) for row in csv.DictReader(stream))
    return least if math.isfinite(least) else None


def _digest(job: LearningRateJob, inputs: Files) -> str:
    """Names everything that the trials depend on: settings, code and data."""
    return settings_digest(
        {
            "job": job.model_dump(mode="json"),
            "code": fingerprint("stages.learning_rate", *job.named_code),
            "data": [file_digest(path) for path in inputs.all()],
        }
    )
