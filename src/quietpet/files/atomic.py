"""Where outputs go: beside their target under a temporary name, and renamed at the end."""

from __future__ import annotations

import os
import platform
import shutil
import tempfile
from collections.abc import Collection, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import psutil

from quietpet.errors import FULL, InputError, OutputError, remedy, why

_STREAMS = ("/dev/std", "/dev/fd/", "/proc/")
"""Names of what is open already: written into, even where it is a file."""


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


def _flush_to_disk(path: Path) -> None:
    with path.open("rb") as stream:
        os.fsync(stream.fileno())


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
