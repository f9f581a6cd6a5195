"""Files: written whole or not at all, and refused when they are not whole.

Every output is written beside its target under a temporary name and renamed at the end. HDF5 files
carry a ``complete`` attribute that goes in last; readers refuse files without it.
"""

from __future__ import annotations

import csv
import json
import os
import platform
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import psutil

from quietpet.errors import InputError

_COMPLETE = "complete"


@dataclass(frozen=True, kw_only=True)
class Parts:
    """An array of three axes given part after part along the first, so that it is never held whole."""

    shape: tuple[int, int, int]
    dtype: np.dtype
    parts: Iterable[np.ndarray]


@contextmanager
def atomic_path(target: Path) -> Iterator[Path]:
    """Yield a temporary path beside ``target``; rename it on success, remove it on any failure.

    What an earlier writer of ``target`` could not remove, because it was killed, goes first.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    prefix = f".{target.name}.{platform.node()}."
    _remove_abandoned(target.parent, prefix)
    handle, name = tempfile.mkstemp(prefix=f"{prefix}{os.getpid()}.", dir=target.parent)
    os.close(handle)
    partial = Path(name)
    try:
        yield partial
        _flush_to_disk(partial)
        partial.chmod(0o666 & ~_umask())
        partial.replace(target)
    finally:
        partial.unlink(missing_ok=True)


def _remove_abandoned(folder: Path, prefix: str) -> None:
    """Remove the temporary files ``prefix`` + PID whose process on this machine is no more."""
    for path in folder.iterdir():
        pid = path.name.removeprefix(prefix).partition(".")[0]
        if path.name.startswith(prefix) and pid.isdigit() and not psutil.pid_exists(int(pid)):
            path.unlink(missing_ok=True)


def write_hdf5(
    target: Path,
    *,
    kind: str,
    arrays: Mapping[str, np.ndarray | Parts],
    attributes: Mapping[str, Any],
) -> None:
    """Write ``arrays`` (a slice per chunk, losslessly compressed, checksummed) and JSON ``attributes``.

    ``kind`` names the file's schema ("phantom", "slices", ...); :func:`open_hdf5` asks for it back.
    """
    with atomic_path(target) as partial, h5py.File(partial, "w") as file:
        for name, array in arrays.items():
            if isinstance(array, Parts):
                _write_parts(
                    file.create_dataset(name, array.shape, array.dtype, **_filters(array)), array
                )
            else:
                file.create_dataset(name, data=_storable(array), **_filters(array))
        for name, value in attributes.items():
            file.attrs[name] = json.dumps(value)
        file.attrs["kind"] = kind
        file.attrs[_COMPLETE] = True


@contextmanager
def open_hdf5(path: Path, *, kind: str) -> Iterator[h5py.File]:
    """Open a file written by :func:`write_hdf5`, or say in one sentence why it cannot be used."""
    with damage_explained(path), h5py.File(path, "r") as file:
        if not file.attrs.get(_COMPLETE, False):
            raise InputError(
                f"{path}: was never completed (no {_COMPLETE!r} mark). Delete it and run the step again."
            )
        if file.attrs["kind"] != kind:
            raise InputError(f"{path}: holds {file.attrs['kind']!r}, but {kind!r} is needed here.")
        yield file


@contextmanager
def damage_explained(path: Path) -> Iterator[None]:
    """Turn whatever HDF5 raises on a missing or damaged file into one sentence that names it."""
    try:
        yield
    except InputError:
        raise
    except FileNotFoundError:
        raise InputError(f"{path}: no such file; run the step that makes it first.") from None
    except (OSError, KeyError, RuntimeError, ValueError) as error:
        raise InputError(
            f"{path}: damaged or not an HDF5 file ({error}). Delete it and run the step again."
        ) from None


def read_attribute(file: h5py.File, name: str) -> Any:
    """One JSON attribute of an open file."""
    if name not in file.attrs:
        raise InputError(f"{file.filename}: lacks the attribute {name!r}; made by another version?")
    return json.loads(file.attrs[name])


def read_array(file: h5py.File, name: str) -> np.ndarray:
    """One whole array of an open file; floating-point data must be finite."""
    array = _dataset(file, name)[()]
    require_finite(array, f"{file.filename}:{name}")
    return array


def read_rows(file: h5py.File, name: str, rows: Sequence[int]) -> np.ndarray:
    """Some rows of one array, in the order given; the others are not even decompressed."""
    dataset = _dataset(file, name)
    array = np.stack([dataset[row] for row in rows])
    require_finite(array, f"{file.filename}:{name}{list(rows)}")
    return array


def read_strings(file: h5py.File, name: str) -> list[str]:
    """One array of strings of an open file."""
    return [text.decode() for text in _dataset(file, name)[()]]


def require_finite(array: np.ndarray, what: str) -> None:
    """Refuse NaN and infinity, naming the first offending element."""
    if array.dtype.kind == "f" and not np.isfinite(array).all():
        bad = np.argwhere(~np.isfinite(array))
        first = tuple(int(index) for index in bad[0])
        raise InputError(
            f"{what}: {len(bad)} of {array.size} values are not finite, the first at {first}. "
            "Run the step that makes them again."
        )


def write_text(target: Path, text: str) -> None:
    """Write a text file atomically."""
    with atomic_path(target) as partial:
        partial.write_text(text)


def write_json(target: Path, value: Any) -> None:
    """Write a JSON file atomically, readable by eye."""
    write_text(target, json.dumps(value, indent=2) + "\n")


def read_json(path: Path) -> Any:
    """Read a JSON file, UTF-8 with or without a byte order mark, or say why it cannot be read.

    A key that stands twice in one object is an error: readers differ in which of the two they take.
    """
    try:
        return json.loads(path.read_text(encoding="utf-8-sig"), object_pairs_hook=unique_keys)
    except FileNotFoundError:
        raise InputError(f"{path}: no such file; run the step that makes it first.") from None
    except RepeatedKeyError as error:
        raise InputError(f"{path}: {error}.") from None
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: not readable as JSON ({error}).") from None


class RepeatedKeyError(ValueError):
    """One key stands twice in one JSON object; the message names it and both values."""


def unique_keys(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """A JSON object of its keys and values, for ``object_pairs_hook``.

    Raises:
        RepeatedKeyError: a key stands twice.
    """
    found: dict[str, Any] = {}
    for key, value in pairs:
        if key in found:
            raise RepeatedKeyError(
                f"the key {key!r} stands twice, as {found[key]!r:.60} and as {value!r:.60}; keep one"
            )
        found[key] = value
    return found


def write_csv(target: Path, columns: Sequence[str], rows: Iterable[Mapping[str, Any]]) -> None:
    """Write rows as CSV atomically; a row with an unknown or missing column is an error."""
    with atomic_path(target) as partial, partial.open("w", newline="") as stream:
        writer = csv.DictWriter(stream, columns, extrasaction="raise", lineterminator="\n")
        writer.writeheader()
        for row in rows:
            if missing := set(columns) - set(row):
                raise KeyError(f"{target}: a row lacks the columns {sorted(missing)}")
            writer.writerow(row)


def _dataset(file: h5py.File, name: str) -> h5py.Dataset:
    if name not in file:
        raise InputError(f"{file.filename}: lacks the array {name!r}; made by another version?")
    return file[name]


def _storable(array: np.ndarray) -> np.ndarray:
    return np.char.encode(array, "utf-8") if array.dtype.kind == "U" else array


def _write_parts(dataset: h5py.Dataset, array: Parts) -> None:
    row = 0
    for part in array.parts:
        dataset[row : row + len(part)] = part
        row += len(part)
    if row != len(dataset):
        raise ValueError(f"{dataset.name}: parts of {row} rows for an array of {len(dataset)}")


def _filters(array: np.ndarray | Parts) -> dict[str, Any]:
    # The checksum makes a changed byte an error on reading.
    if len(array.shape) < 3:
        return {"fletcher32": array.size > 0 and array.ndim > 0}
    # The byte shuffle makes smooth floats compress well; lzf costs far less time than gzip.
    return {
        "chunks": (1, *array.shape[1:]),
        "compression": "lzf",
        "shuffle": True,
        "fletcher32": True,
    }


def _flush_to_disk(path: Path) -> None:
    with path.open("rb") as stream:
        os.fsync(stream.fileno())


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
