"""Files: written whole or not at all, and refused when they are not whole.

Every output is written beside its target under a temporary name and renamed at the end. HDF5 files
carry a ``complete`` attribute that goes in last; readers refuse files without it.
"""

from __future__ import annotations

import csv
import errno
import json
import logging
import os
import platform
import shutil
import tempfile
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from io import RawIOBase
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import psutil

from quietpet.errors import FULL, InputError, OutputError, reading, remedy, replacing, why

logger = logging.getLogger(__name__)

LOCK_WAIT_S = 30.0
"""How long a file that another program has locked is waited for [s]."""

_LOCK_PAUSE_S = 2.0
_NO_LOCKS = (errno.ENOLCK, errno.EOPNOTSUPP)
"""What file systems without locks answer, some of NFS among them."""
_COMPLETE = "complete"
_STREAMS = ("/dev/std", "/dev/fd/", "/proc/")
"""Names of what is open already: written into, even where it is a file."""


@dataclass(frozen=True, kw_only=True)
class Parts:
    """An array of three axes given part after part along the first, so that it is never held whole."""

    shape: tuple[int, int, int]
    dtype: np.dtype
    parts: Iterable[np.ndarray]


@contextmanager
def atomic_path(target: Path) -> Iterator[Path]:
    """Yield a temporary path beside ``target``; rename it on success, remove it on any failure.

    What an earlier writer of ``target`` could not remove, because it was killed, goes first. A link is
    written through; a device or pipe gets the bytes when all are there.

    Raises:
        OutputError: ``target`` is a folder, its folder cannot be written to, the disk is full.
    """
    with ExitStack() as made:
        with _failing_for(target):
            stream = _is_stream(target)
            partial = made.enter_context(_scratch() if stream else _beside(_place(target)))
        with _failing_for(target, FULL):
            yield partial
        with _failing_for(target):
            if stream:
                _copy(partial, target)
            else:
                _flush_to_disk(partial)
                partial.chmod(0o666 & ~_umask())
                partial.replace(_place(target))


def require_writable(target: Path) -> None:
    """Raise OutputError now if :func:`atomic_path` would find that ``target`` cannot be written."""
    with _failing_for(target):
        if not _is_stream(target):
            with _beside(_place(target)):
                pass


@contextmanager
def _failing_for(target: Path, numbers: Collection[int] | None = None) -> Iterator[None]:
    """Name ``target`` in every OSError, or in those of ``numbers`` alone."""
    try:
        yield
    except InputError:
        raise
    except OSError as error:
        if numbers is None or error.errno in numbers:
            raise OutputError(f"{target}: cannot be written ({why(error)}){remedy(error)}") from error
        raise


def _is_stream(target: Path) -> bool:
    """Whether bytes go into what ``target`` names, which is no file: a pipe, a terminal, a device."""
    if target.is_dir():
        raise OutputError(f"{target}: is a folder; name a file.")
    named = target.absolute().as_posix().startswith(_STREAMS)
    return named or (target.exists() and not target.is_file())


def _place(target: Path) -> Path:
    """Where the file goes: what links lead to."""
    place = Path(os.path.realpath(target))
    if target.is_symlink() and not place.parent.is_dir():
        raise OutputError(f"{target}: is a link to {place}, whose folder does not exist.")
    return place


@contextmanager
def _beside(place: Path) -> Iterator[Path]:
    """An empty temporary file in the folder of ``place``."""
    place.parent.mkdir(parents=True, exist_ok=True)
    prefix = f".{place.name}.{platform.node()}."
    _remove_abandoned(place.parent, prefix)
    handle, name = tempfile.mkstemp(prefix=f"{prefix}{os.getpid()}.", dir=place.parent)
    os.close(handle)
    try:
        yield Path(name)
    finally:
        Path(name).unlink(missing_ok=True)


@contextmanager
def _scratch() -> Iterator[Path]:
    """An empty temporary file."""
    with tempfile.NamedTemporaryFile() as file:
        yield Path(file.name)


def _copy(source: Path, stream: Path) -> None:
    with source.open("rb") as whole, stream.open("ab") as into:
        shutil.copyfileobj(whole, into)


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

    def readinto(self, buffer: memoryview) -> int:
        return self._guarded(self._stream.readinto, buffer) or 0

    def write(self, buffer: memoryview) -> int:
        self._guarded(self._write_all, buffer)
        return len(buffer)

    def truncate(self, size: int) -> int:
        self._guarded(self._stream.truncate, size)
        return size

    def flush(self) -> None:
        """Nothing is buffered."""

    def _write_all(self, buffer: memoryview) -> None:
        rest = memoryview(buffer).cast("B")
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
    """Open a file written by :func:`write_hdf5`, or say in one sentence why it cannot be used."""
    with damage_explained(path), hdf5_for_reading(path) as file:
        if not file.attrs.get(_COMPLETE, False):
            raise InputError(
                f"{path}: was never completed by this program (no {_COMPLETE!r} mark). {replacing(path)}"
            )
        if file.attrs["kind"] != kind:
            raise InputError(f"{path}: holds {file.attrs['kind']!r}, but {kind!r} is needed here.")
        yield file


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
    with reading(path, "not readable as JSON"):
        try:
            return parse_json(path.read_text(encoding="utf-8-sig"))
        except RepeatedKeyError as error:
            raise InputError(f"{path}: {error}.") from None


class RepeatedKeyError(ValueError):
    """One key stands twice in one JSON object; the message names it and both values."""


def parse_json(text: str) -> Any:
    """The value of a JSON text.

    Raises:
        RepeatedKeyError: a key stands twice in one object.
        json.JSONDecodeError: it is no JSON.
    """
    return json.loads(text, object_pairs_hook=_unique_keys)


def _unique_keys(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
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
