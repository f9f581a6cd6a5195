"""What training and restoring need of sinograms, for methods that reconstruct.

The module that projects is imported under a computed name, so that an edit of projectors does not train
networks again: :func:`quietpet.methods.registry.code_of` names it for those methods alone.
"""

from __future__ import annotations

import importlib
from types import ModuleType

import torch

from quietpet.data.dataset import PairDataset
from quietpet.data.measured import MeasuredSlices
from quietpet.errors import InputError
from quietpet.files.named import Files
from quietpet.jobs.methods import LearningJob
from quietpet.methods.registry import MEASURING


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


def engines_behind(job: LearningJob, pairs: PairDataset) -> dict[str, str] | None:
    """Versions of the programs that project for ``job``, if its method reconstructs."""
    return None if job.acquisition is None else _measuring().engines_behind(pairs)


def _measuring() -> ModuleType:
    return importlib.import_module(f"quietpet.{MEASURING}")
