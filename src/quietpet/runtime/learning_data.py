"""What one training learns from: data sets, what was measured of their slices, and earlier weights."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import torch

from quietpet.config.networks import TrainingSettings
from quietpet.data.batches import central_batches, head_square, spread_rows
from quietpet.data.dataset import PairDataset
from quietpet.data.measured import MeasuredSlices
from quietpet.data.pairs import Batch
from quietpet.errors import InputError
from quietpet.files.lineage import Lineage, common_lineage
from quietpet.files.named import Files
from quietpet.files.rates import RateTrials, read_rate_trials
from quietpet.jobs.methods import FitJob
from quietpet.methods.base import Restorer
from quietpet.runtime.measuring import measured_slices, training_slices
from quietpet.runtime.t1 import require_t1
from quietpet.training.weights import load_weights


@dataclass(frozen=True, kw_only=True, eq=False)
class LearningData:
    """Training data ``parts``, the ``held_out`` validation slices, and the method to ``start`` from.

    ``learned`` are the measurements of the parts, none for methods that learn from images, and
    ``measured`` those of the held-out slices, of methods that reconstruct.
    """

    parts: Sequence[PairDataset]
    held_out: PairDataset
    start: Restorer | None
    started_from: Path | None
    learned: Sequence[MeasuredSlices]
    measured: MeasuredSlices | None

    @classmethod
    def of(cls, job: FitJob, inputs: Files, device: torch.device) -> Self:
        """From ``train``, ``validation``, ``start`` and sinograms.

        Raises:
            InputError: they hold other data than the job names, are missing or too many, or lack a T1
                that the method needs.
        """
        parts = [PairDataset(path) for path in inputs.many("train")]
        held_out = PairDataset(inputs.one("validation"))
        own = (job.dataset, job.setting)
        _require_data(parts, job.trained_on or (own,), split="train")
        _require_data([held_out], (own,), split="validation")
        require_t1(job, *parts, held_out)
        return cls(
            parts=parts,
            held_out=held_out,
            start=_start(job, inputs.get("start")),
            started_from=inputs.get("start"),
            measured=measured_slices(job, inputs, held_out, device),
            learned=training_slices(job, inputs, parts, device),
        )

    @property
    def lineage(self) -> Lineage:
        """That of the data set that is validated on; other stages of learning may have other sources."""
        own = self.held_out.dataset
        same = [each for each in (*self.parts, self.held_out) if each.dataset == own]
        return common_lineage((each.path, each.lineage) for each in same)

    def validation(self, job: FitJob, device: torch.device) -> list[Batch]:
        """Central squares of all held-out slices."""
        return self._batches(job, range(len(self.held_out)), device)

    def restored(self, job: FitJob, device: torch.device) -> list[Batch]:
        """Those of the slices that tell which weights are kept."""
        return self._batches(job, _restored_rows(self.held_out, job.training), device)

    def describe(self) -> dict[str, str]:
        """Each part in a sentence, by its part in the training."""
        told = {
            "training": " and ".join(map(_described, self.parts)),
            "validation": _described(self.held_out),
        }
        if self.started_from:
            told["started from"] = f"weights of {self.started_from}, of an earlier stage of learning"
        return told

    def _batches(self, job: FitJob, rows: Sequence[int], device: torch.device) -> list[Batch]:
        square = head_square(self.held_out, divisor=job.model.divisor)
        size = job.training.batch_size
        batches = central_batches(self.held_out, pixels=square, batch_size=size, rows=rows)
        moved = [batch.to(device) for batch in batches]
        return [self.measured.attach(batch) for batch in moved] if self.measured else moved


def rate_trials(job: FitJob, path: Path | None) -> RateTrials | None:
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


def at_rate(job: FitJob, found: RateTrials) -> FitJob:
    """The job with the learning rate that was chosen."""
    return job.model_copy(update={"training": job.training.at_factor(found.chosen.factor)})


def _restored_rows(held_out: PairDataset, settings: TrainingSettings) -> Sequence[int]:
    """Rows of the slices that tell which weights are kept."""
    if settings.select_by == "last":
        return ()
    return spread_rows(len(held_out), min(settings.validation_slices, len(held_out)))


def _require_data(
    parts: Sequence[PairDataset], wanted: Sequence[tuple[str, str]], *, split: str
) -> None:
    """Refuse files of other data sets, settings or splits than the job names, or in another order."""
    for part in parts:
        part.require_split(split)
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
