"""HDF5 files of arrays and JSON attributes, with a mark that goes in last: without it none is read."""

from __future__ import annotations

import errno
import json
import logging
import os
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from io import RawIOBase
from pathlib import Path
from typing import TYPE_CHECKING, Any

import h5py
import numpy as np
import psutil

from quietpet.errors import InputError, reading, replacing
from quietpet.files.atomic import atomic_path

if TYPE_CHECKING:
    from typing_extensions import Buffer

logger = logging.getLogger(__name__)

LOCK_WAIT_S = 30.0
"""How long a file that another program has locked is waited for [s]."""

GZIP_LEVEL = 1

_LOCK_PAUSE_S = 2.0
_NO_LOCKS = (errno.ENOLCK, errno.EOPNOTSUPP)
"""What file systems without locks answer, some of NFS among them."""
_COMPLETE = "complete"


@dataclass(frozen=True, kw_only=True)
class Parts:
    """An array of three axes given part after part along the first, so that it is never held whole."""

    shape: tuple[int, int, int]
    dtype: np.dtype
    parts: Iterable[np.ndarray]


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
    with (
        atomic_path(target) as partial,
        partial.open("r+b", buffering=0) as stream,
        _Shielded(stream) as shielded,
        h5py.File(shielded, "w") as file,
    ):
        for name, array in arrays.items():
            if isinstance(array, Parts):
                _write_parts(
                    file.create_dataset(name, array.shape, array.dtype, **_filters(array)), array
                )
            else:
                file.create_dataset(name, data=_storable(array), **_filters(array))
            shielded.raise_failure()
        for name, value in attributes.items():
            file.attrs[name] = json.dumps(value)
        file.attrs["kind"] = kind
        file.attrs[_COMPLETE] = True


class _Shielded(RawIOBase):
    """A file whose failures HDF5 does not see: it cannot close one that it failed to write, and crashes.

    The first failure, or the signal that came during a call, is kept and raised when HDF5 has finished.
    """

    def __init__(self, stream: RawIOBase) -> None:
        self._stream = stream
        self._failure: BaseException | None = None

    def __enter__(self) -> _Shielded:
        return self

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        self.raise_failure()

    def raise_failure(self) -> None:
        """Raise what went wrong so far."""
        if self._failure:
            raise self._failure

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        return self._guarded(self._stream.seek, offset, whence) or 0

    def readinto(self, buffer: Buffer) -> int:
        return self._guarded(self._stream.readinto, buffer) or 0

    def write(self, buffer: Buffer) -> int:
        whole = memoryview(buffer).cast("B")
        self._guarded(self._write_all, whole)
        return len(whole)

    def truncate(self, size: int | None = None) -> int:
        return self._guarded(self._stream.truncate, size) or 0

    def flush(self) -> None:
        """Nothing is buffered."""

    def _write_all(self, rest: memoryview) -> None:
        while rest:
            rest = rest[self._stream.write(rest) or 0 :]

    def _guarded(self, call: Callable[..., Any], *arguments: Any) -> Any:
        try:
            return call(*arguments)
        except BaseException as error:
            self._failure = self._failure or error
            return None


@contextmanager
def open_hdf5(path: Path, *, kind: str) -> Iterator[h5py.File]:
    """Open a file written by :func:`write_hdf5`, or say in one sentence why it cannot be used.

    What the caller's own block raises is not about the file, and passes.
    """
    with damage_explained(path):
        opened = hdf5_for_reading(path)
    with opened as file:
        with damage_explained(path):
            _require_whole(file, kind)
        yield file


def recorded_provenance(path: Path) -> dict[str, Any] | None:
    """How a whole file was made, if it says so; None of any other, or of none."""
    try:
        with damage_explained(path), hdf5_for_reading(path) as file:
            whole = file.attrs.get(_COMPLETE, False) and "provenance" in file.attrs
            found = json.loads(file.attrs["provenance"]) if whole else None
    except (InputError, ValueError, TypeError, RecursionError):
        return None
    return found if isinstance(found, dict) else None


def _require_whole(file: h5py.File, kind: str) -> None:
    path = file.filename
    if not file.attrs.get(_COMPLETE, False):
        raise InputError(
            f"{path}: was never completed by this program (no {_COMPLETE!r} mark). {replacing(path)}"
        )
    if file.attrs["kind"] != kind:
        raise InputError(f"{path}: holds {file.attrs['kind']!r}, but {kind!r} is needed here.")
    tuple(file.values())  # opens all headers, so that a caller may ask which arrays there are


def hdf5_for_reading(path: Path) -> h5py.File:
    """Open ``path``; while another program has it locked, wait for up to ``LOCK_WAIT_S``."""
    deadline = time.monotonic() + LOCK_WAIT_S
    while True:
        try:
            return _opened(path)
        except BlockingIOError:
            holders = _holders(path)
            if time.monotonic() >= deadline:
                raise InputError(
                    f"{path}: locked by {holders}, which may be writing it. Close it there and run the "
                    "same command again."
                ) from None
            logger.info("%s is locked by %s; waiting", path, holders)
            time.sleep(min(_LOCK_PAUSE_S, LOCK_WAIT_S))


def _opened(path: Path) -> h5py.File:
    try:
        return h5py.File(path, "r", locking="best-effort")
    except OSError as error:
        if error.errno in _NO_LOCKS:  # HDF5 itself takes ENOSYS alone for "there are none"
            return h5py.File(path, "r", locking=False)
        raise


def _holders(path: Path) -> str:
    """The programs of this machine that have ``path`` open for writing, as far as we may look."""
    place, found = os.path.realpath(path), []
    for process in psutil.process_iter(["name", "username", "open_files"]):
        for file in process.info["open_files"] or ():
            if file.path == place and getattr(file, "mode", "") != "r":
                found.append(
                    f"{process.info['name']} (process {process.pid} of {process.info['username']})"
                )
    return " and ".join(found) or "another program, perhaps on another machine"


@contextmanager
def damage_explained(path: Path) -> Iterator[None]:
    """Turn whatever HDF5 raises on a missing, locked or damaged file into one sentence that names it."""
    with reading(path, "damaged or not an HDF5 file", KeyError, RuntimeError):
        yield


def read_attribute(file: h5py.File, name: str) -> Any:
    """One JSON attribute of an open file."""
    with damage_explained(Path(file.filename)):
        if name not in file.attrs:
            raise InputError(f"{file.filename}: lacks the attribute {name!r}; made by another version?")
        return json.loads(file.attrs[name])


def read_array(file: h5py.File, name: str) -> np.ndarray:
    """One whole array of an open file; floating-point data must be finite."""
    array = read_values(file, name)
    require_finite(array, f"{file.filename}:{name}")
    return array


def read_nonnegative(file: h5py.File, name: str) -> np.ndarray:
    """One whole array of an open file; its values must be finite and at least 0, as in sinograms."""
    array = read_array(file, name)
    if (negative := array < 0).any():
        first = tuple(int(index) for index in np.argwhere(negative)[0])
        raise InputError(
            f"{file.filename}:{name}: {np.count_nonzero(negative)} of {array.size} values are negative, "
            f"the first, {array[first]:g}, at {first}. Run the step that makes them "
            "again."
        )
    return array


def read_values(file: h5py.File, name: str) -> np.ndarray:
    """One whole array of an open file, finite or not."""
    with damage_explained(Path(file.filename)):
        return stored_array(file, name)[()]


def read_rows(file: h5py.File, name: str, rows: Sequence[int]) -> np.ndarray:
    """Some rows of one array, in the order given; the others are not even decompressed."""
    with damage_explained(Path(file.filename)):
        dataset = stored_array(file, name)
        array = np.stack([dataset[row] for row in rows])
    require_finite(array, f"{file.filename}:{name}{list(rows)}")
    return array


def read_strings(file: h5py.File, name: str) -> list[str]:
    """One array of strings of an open file."""
    with damage_explained(Path(file.filename)):
        return [text.decode() for text in stored_array(file, name)[()]]


def require_finite(array: np.ndarray, what: str) -> None:
    """Refuse NaN and infinity, naming the first offending element."""
    if array.dtype.kind == "f" and not np.isfinite(array).all():
        bad = np.argwhere(~np.isfinite(array))
        first = tuple(int(index) for index in bad[0])
        raise InputError(
            f"{what}: {len(bad)} of {array.size} values are not finite, the first at {first}. "
            "Run the step that makes them again."
        )


def stored_array(file: h5py.File, name: str) -> h5py.Dataset:
    """An array of an open file, not yet read; one that is not there is an error."""
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
    if 0 in array.shape or not array.shape:  # no chunks, and so nothing to compress or to check
        return {}
    # The checksum makes a changed byte an error on reading.
    if len(array.shape) < 3:
        return {"fletcher32": True}
    # The byte shuffle makes smooth floats compress well. Every HDF5 library reads gzip; higher levels
    # save little and take several times as long (benchmarks/compression.py).
    return {
        "chunks": (1, *array.shape[1:]),
        "compression": "gzip",
        "compression_opts": GZIP_LEVEL,
        "shuffle": True,
        "fletcher32": True,
    }
