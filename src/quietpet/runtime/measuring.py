"""What training and restoring need of sinograms, for methods that reconstruct.

The module that projects is imported under a computed name, so that an edit of projectors does not train
networks again: :func:`quietpet.methods.registry.code_of` names it for those methods alone.
"""

from __future__ import annotations

import importlib
import itertools
from collections.abc import Sequence
from types import ModuleType
from typing import TYPE_CHECKING

import torch

from quietpet.data.batches import ResidentBatches, StepBatches
from quietpet.data.dataset import PairDataset
from quietpet.data.measured import MeasuredSlices
from quietpet.errors import InputError
from quietpet.files.named import Files
from quietpet.jobs.methods import FitJob, LearningJob
from quietpet.methods.registry import MEASURING

if TYPE_CHECKING:
    from quietpet.data.measured import MeasuredBatches


def measured_slices(
    job: LearningJob, inputs: Files, pairs: PairDataset, device: torch.device
) -> MeasuredSlices | None:
    """The measurements of the slices of ``pairs``, from ``sinograms``, if the method reconstructs.

    Raises:
        InputError: it reconstructs and there are none; or it does not, and there are.
    """
    if job.acquisition is not None:
        return _measuring().measured_slices(
            inputs.many("sinograms"),
            pairs,
            scanner=job.acquisition.scanner,
            protocol=job.acquisition.protocol,
            device=device,
        )
    if inputs.any("sinograms"):
        raise InputError(f"{job.method} does not reconstruct: it takes no files called 'sinograms'.")
    return None


def training_slices(
    job: FitJob, inputs: Files, parts: Sequence[PairDataset], device: torch.device
) -> list[MeasuredSlices]:
    """The measurements of each of the training data ``parts``, from ``train_sinograms``; [] for methods
    that do not learn from sinograms.

    Of several parts the files are those of the subjects in order, since keys and doses may be alike.

    Raises:
        InputError: the method learns from sinograms and files are missing; or it does not, and there are
            some.
    """
    name = "train_sinograms"
    if not job.train_acquisitions:
        if inputs.any(name):
            raise InputError(f"{job.method} learns from images: it takes no files called {name!r}.")
        return []
    paths = inputs.many(name)
    counts = [len(set(part.subjects)) for part in parts] if len(parts) > 1 else [len(paths)]
    if len(paths) != sum(counts):
        raise InputError(
            f"{job.method}: {len(paths)} files are called {name!r}, but those called 'train' have "
            f"{sum(counts)} subjects. Give one for each, in their order."
        )
    ends = itertools.accumulate(counts, initial=0)
    each = zip(parts, itertools.pairwise(ends), job.train_acquisitions, strict=True)
    return [
        _measuring().measured_slices(
            paths[first:end],
            part,
            scanner=acquisition.scanner,
            protocol=acquisition.protocol,
            device=device,
        )
        for part, (first, end), acquisition in each
    ]


def with_measurements(
    batches: StepBatches | ResidentBatches,
    parts: Sequence[PairDataset],
    learned: Sequence[MeasuredSlices],
) -> MeasuredBatches:
    """The ``batches`` of training ``parts``, with what was measured of their slices."""
    return _measuring().measured_batches(batches, parts, learned)


def engines_behind(job: LearningJob, pairs: PairDataset) -> dict[str, str] | None:
    """Versions of the programs that project for ``job``, if its method reconstructs."""
    return None if job.acquisition is None else _measuring().engines_behind(pairs)


def _measuring() -> ModuleType:
    return importlib.import_module(f"quietpet.{MEASURING}")
