"""Named tensors on disk: safetensors with one JSON record, written whole, never pickled.

The format has no checksum: a digest of all that a file holds goes with it.
"""

from __future__ import annotations

import hashlib
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
from quietpet.files.origins import RECORD_OF_TENSORS

_DIGEST = "sha256"

Tensors = dict[str, torch.Tensor]


def write_tensors(target: Path, tensors: Mapping[str, torch.Tensor], record: Mapping[str, Any]) -> None:
    """Write ``tensors`` and the JSON ``record`` atomically."""
    # Clones, because safetensors refuses tensors that share memory.
    stored = {name: tensor.detach().cpu().contiguous().clone() for name, tensor in tensors.items()}
    text = json.dumps(record)
    metadata = {RECORD_OF_TENSORS: text, _DIGEST: _digest(stored, text)}
    with atomic_path(target) as partial:
        try:
            save_file(stored, partial, metadata=metadata)
        except SafetensorError as error:
            if found := re.search(r"os error (\d+)", str(error)):
                raise OSError(int(found[1]), os.strerror(int(found[1]))) from error
            raise


def read_tensors(path: Path) -> tuple[Tensors, dict[str, Any]]:
    """The tensors and the record of a file of :func:`write_tensors`, on the CPU.

    Raises:
        InputError: it is no such file, or its content is not what was written.
    """
    with (
        reading(path, "not a file of weights of this program", SafetensorError, KeyError),
        safe_open(path, framework="pt") as file,
    ):
        metadata = file.metadata() or {}
        text = metadata[RECORD_OF_TENSORS]
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        # Files of before there were digests have none.
        if metadata.get(_DIGEST, digest := _digest(tensors, text)) != digest:
            raise InputError(f"{path}: damaged: its checksum is another. {replacing(path)}")
        return tensors, json.loads(text)


def _digest(tensors: Mapping[str, torch.Tensor], record: str) -> str:
    """Of the bytes of contiguous ``tensors``, with their names, types and shapes, and of the record."""
    digest = hashlib.sha256(record.encode())
    for name, tensor in sorted(tensors.items()):
        digest.update(f"\0{name}\0{tensor.dtype}\0{list(tensor.shape)}\0".encode())
        digest.update(tensor.reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()


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
