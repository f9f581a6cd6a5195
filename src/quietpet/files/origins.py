"""How a file says that it was made: the record beside tables, or inside weights."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open

from quietpet.errors import InputError, reading, replacing
from quietpet.files.text import read_json

_NEEDED = ("stage", "code", "versions", "python", "device", "inputs", "made")
_MAPPINGS = ("versions", "inputs")


RECORD_OF_TENSORS = "quietpet"
"""Name of the JSON record in the head of a safetensors file."""


def read_origin(path: Path) -> Mapping[str, Any]:
    """The record that :func:`quietpet.provenance.provenance` made, of a JSON file or of weights.

    Raises:
        InputError: the file is missing, or has no such record.
    """
    record = _of_weights(path) if path.suffix == ".safetensors" else _of_json(path)
    missing = [name for name in _NEEDED if not isinstance(record, Mapping) or name not in record]
    missing = missing or [name for name in _MAPPINGS if not isinstance(record[name], Mapping)]
    if missing:
        raise InputError(
            f"{path}: lacks {', '.join(missing)}, which the record of how a file was made has. "
            f"{replacing(path)}"
        )
    return dict(record)


def _of_json(path: Path) -> Any:
    """The whole file, or what it holds beside its results."""
    held = read_json(path)
    return held["provenance"] if isinstance(held, Mapping) and "provenance" in held else held


def _of_weights(path: Path) -> Any:
    """Of the head of the file alone; numbers of a network are many."""
    with (
        reading(path, "not a file of weights of this program", SafetensorError, KeyError, TypeError),
        safe_open(path, framework="np") as file,
    ):
        return json.loads((file.metadata() or {})[RECORD_OF_TENSORS])["provenance"]
