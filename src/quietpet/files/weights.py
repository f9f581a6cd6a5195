"""Files of weights: the tensors of a method, with its settings and history."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from quietpet.files.lineage import Lineage
from quietpet.files.tensors import read_tensors, write_tensors


@dataclass(frozen=True, kw_only=True, eq=False)
class Weights:
    """All parameters and buffers of a method, of which ``parameters`` numbers are trained.

    ``settings`` are those with which it was trained, as JSON.
    """

    settings: Mapping[str, Any]
    parameters: int
    lineage: Lineage
    tensors: Mapping[str, torch.Tensor]


def write_weights(target: Path, weights: Weights, *, provenance: Mapping[str, Any]) -> None:
    """Write a file that :func:`read_weights` reads back, with where it came from."""
    record = {
        "settings": dict(weights.settings),
        "parameters": weights.parameters,
        "lineage": dict(weights.lineage),
        "provenance": dict(provenance),
    }
    write_tensors(target, weights.tensors, record)


def read_weights(path: Path) -> Weights:
    """A whole file, on the CPU.

    Raises:
        InputError: it is no file of tensors of this program.
    """
    tensors, record = read_tensors(path)
    return Weights(
        settings=record.get("settings", {}),
        parameters=record.get("parameters", 0),
        lineage=record.get("lineage", {}),
        tensors=tensors,
    )
