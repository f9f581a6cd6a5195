"""Named tensors on disk: safetensors with one JSON record, written whole, never pickled."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

from quietpet.errors import InputError, reading, replacing
from quietpet.files.atomic import atomic_path

_RECORD = "quietpet"

Tensors = dict[str, torch.Tensor]


def write_tensors(target: Path, tensors: Mapping[str, torch.Tensor], record: Mapping[str, Any]) -> None:
    """Write ``tensors`` and the JSON ``record`` atomically."""
    # Clones, because safetensors refuses tensors that share memory.
    stored = {name: tensor.detach().cpu().contiguous().clone() for name, tensor in tensors.items()}
    with atomic_path(target) as partial:
        try:
            save_file(stored, partial, metadata={_RECORD: json.dumps(record)})
        except SafetensorError as error:
            if found := re.search(r"os error (\d+)", str(error)):
                raise OSError(int(found[1]), os.strerror(int(found[1]))) from error
            raise


def read_tensors(path: Path) -> tuple[Tensors, dict[str, Any]]:
    """The tensors and the record of a file of :func:`write_tensors`, on the CPU."""
    with (
        reading(path, "not a file of weights of this program", SafetensorError, KeyError),
        safe_open(path, framework="pt") as file,
    ):
        record = json.loads((file.metadata() or {})[_RECORD])
        return {name: file.get_tensor(name) for name in file.keys()}, record  # noqa: SIM118


def require_same_network(
    found: Mapping[str, torch.Tensor], wanted: Mapping[str, torch.Tensor], *, path: Path
) -> None:
    """Refuse ``found`` unless its names and shapes are those of ``wanted`` and its values are finite."""
    for name in sorted(set(found) | set(wanted)):
        if name not in found:
            problem = f"lacks the tensor {name!r}"
        elif name not in wanted:
            problem = f"holds the tensor {name!r}, which this network does not have"
        elif found[name].shape != wanted[name].shape:
            problem = (
                f"{name!r} is {list(found[name].shape)}, this network needs {list(wanted[name].shape)}"
            )
        elif not torch.isfinite(found[name]).all():
            problem = f"{name!r} is not finite"
        else:
            continue
        raise InputError(
            f"{path}: {problem}; it was made with other settings or damaged. Restore the settings it "
            f"was made with. {replacing(path, again='run `fit` again')}"
        )
