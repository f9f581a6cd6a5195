"""Files of OpenNeuro data sets: which belong to a participant, and fetching them whole.

The table ``openneuro.csv`` pins PET, T1 and side-cars of the two data sets of the paper (both CC0) by
size and MD5; for images these are the git-annex keys of the pinned versions. OpenNeuro's bucket serves
the newest version of each file, its own server any version: what arrives must be the pinned one.
"""

from __future__ import annotations

import csv
import errno
import fcntl
import hashlib
import logging
import os
import time
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO, TYPE_CHECKING
from urllib.parse import quote

from quietpet.errors import InputError, made_here
from quietpet.invivo.names import entities_of, has_entities, same_value

if TYPE_CHECKING:
    import requests

logger = logging.getLogger(__name__)

TABLE = Path(__file__).with_name("openneuro.csv")
BUCKET = "https://s3.amazonaws.com/openneuro.org"
SERVER = "https://openneuro.org/crn/datasets"

_CONNECT_S, _READ_S = 10.0, 60.0
_ATTEMPTS, _PAUSE_S = 4, 5.0
_BLOCK_BYTES = 1 << 20
_REPORT_S = 30.0
_RANGE_HONOURED = 206
_NO_LOCKS = (errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP)


class DownloadError(Exception):
    """A file could not be fetched whole; the message says why."""


@dataclass(frozen=True, kw_only=True)
class RemoteFile:
    """One file of one version of a data set; ``path`` is below its root."""

    accession: str
    version: str
    path: str
    bytes: int
    md5: str

    @property
    def urls(self) -> tuple[str, ...]:
        """Where it can be had: the bucket (newest version), then OpenNeuro (this version)."""
        return (
            f"{BUCKET}/{self.accession}/{quote(self.path)}",
            f"{SERVER}/{self.accession}/snapshots/{self.version}/files/"
            f"{quote(self.path.replace('/', ':'), safe='')}",
        )


def read_manifest(table: Path, accession: str) -> list[RemoteFile]:
    """The rows of a table of files that belong to ``accession``.

    Raises:
        InputError: the table is missing, lacks a column, has no such rows, or leads out of its folder.
    """
    try:
        with table.open(newline="") as stream:
            rows = list(csv.DictReader(stream))
        files = [
            RemoteFile(bytes=int(row["bytes"]), **{key: row[key] for key in row if key != "bytes"})
            for row in rows
        ]
    except FileNotFoundError:
        raise InputError(f"{table}: no such table of files.") from None
    except (KeyError, TypeError, ValueError) as error:
        raise InputError(
            f"{table}: wants the columns accession, version, path, bytes, md5 ({error})."
        ) from None
    found = [file for file in files if file.accession == accession]
    if not found:
        known = ", ".join(sorted({file.accession for file in files}))
        raise InputError(
            f"{table.name}: has no files of {accession}, only of {known}; name a table of your own in "
            "invivo.sources.*.manifest, or use kind 'folder'."
        )
    for file in found:
        if PurePosixPath(file.path).is_absolute() or ".." in PurePosixPath(file.path).parts:
            raise InputError(f"{table}: {file.path} lies outside the data set.")
    return found


def files_of(
    files: Iterable[RemoteFile],
    *,
    participant: str,
    entities: Mapping[str, str],
    runs: Collection[str],
) -> list[RemoteFile]:
    """What the import of one participant needs: small files of all, images of this one.

    The side-cars of everybody are needed to see whether they were exchanged.
    """
    return [
        file
        for file in files
        if not _is_image(file.path)
        or (file.path.startswith(f"sub-{participant}/") and image_wanted(file.path, entities, runs))
    ]


def image_wanted(path: str, entities: Mapping[str, str], runs: Collection[str]) -> bool:
    """Whether a PET image has these entities and one of these runs (no runs: any); T1 always."""
    stem = PurePosixPath(path).name.split(".")[0]
    if not stem.endswith("_pet"):
        return True
    own = entities_of(stem)
    if not has_entities(own, entities):
        return False
    return not runs or any(same_value("run", own.get("run", ""), run) for run in runs)


def _is_image(path: str) -> bool:
    return path.endswith((".nii", ".nii.gz"))


def fault_in(path: Path, file: RemoteFile) -> str | None:
    """What is wrong with a fetched file, or None if it is the pinned one."""
    size = path.stat().st_size
    with path.open("rb") as stream:
        begin = stream.read(200).lstrip().lower()
        if begin.startswith((b"<!doctype html", b"<html")):
            return "is a web page that was saved under this name"
        if size != file.bytes:
            return f"has {size} bytes instead of {file.bytes}"
        stream.seek(0)
        md5 = hashlib.file_digest(stream, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()
    return None if md5 == file.md5 else f"its MD5 is {md5} instead of {file.md5}"


def missing(files: Iterable[RemoteFile], root: Path) -> list[RemoteFile]:
    """Files that are not below ``root`` yet.

    Raises:
        InputError: one is there, but is not the pinned one.
    """
    absent = []
    for file in files:
        path = root / file.path
        if not path.exists():
            absent.append(file)
        elif fault := fault_in(path, file):
            raise InputError(
                f"{path}: {fault} in version {file.version} of {file.accession}. {_getting(path)}"
            )
    return absent


def _getting(path: Path) -> str:
    if made_here(path):
        return "Delete it to have it fetched again."
    return "Put that version there, or take yours as it is with kind: folder."


def download(file: RemoteFile, root: Path) -> None:
    """Fetch one file to its place below ``root``, going on where an earlier attempt ended.

    What has arrived waits in ``<name>.part``; the file appears when it is whole and has its checksum.
    Two processes that want the same file take turns, and the second finds it there.

    Raises:
        DownloadError: no answer in time, an error status, a wrong file, or a folder that is read-only.
    """
    target, part = root / file.path, _part_of(file, root)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with _alone_with(part) as stream:
            if target.exists() and not fault_in(target, file):
                part.unlink()
                return
            _fetch(file, part, stream)
            part.replace(target)
    except OSError as error:
        raise DownloadError(f"{file.path}: {error}") from error


@contextmanager
def _alone_with(part: Path) -> Iterator[IO[bytes]]:
    """``part`` open for appending by this process alone, after waiting for whoever has it.

    Some network file systems have no locks: there, a rival's bytes make the checksum wrong.
    """
    while True:
        with part.open("ab") as stream:
            try:
                fcntl.flock(stream, fcntl.LOCK_EX)
            except OSError as error:
                if error.errno not in _NO_LOCKS:
                    raise
            if _is_named(part, stream):
                yield stream
                return


def _is_named(part: Path, stream: IO[bytes]) -> bool:
    """Whether ``part`` is still the open file: who had it before has renamed or removed it, perhaps."""
    try:
        return os.path.samestat(part.stat(), os.fstat(stream.fileno()))
    except FileNotFoundError:
        return False


def _fetch(file: RemoteFile, part: Path, stream: IO[bytes]) -> None:
    """Have the pinned file in ``part``, which ``stream`` appends to; DownloadError where that fails."""
    problems: list[str] = []
    for attempt in range(_ATTEMPTS):
        for url in file.urls:
            if _attempt(url, part, stream, file, problems):
                return
        if attempt + 1 < _ATTEMPTS:
            time.sleep(_PAUSE_S)
    raise DownloadError(f"{file.path} could not be fetched: {'; '.join(dict.fromkeys(problems))}")


def _attempt(url: str, part: Path, stream: IO[bytes], file: RemoteFile, problems: list[str]) -> bool:
    """Whether ``part`` is whole now; otherwise the reason is added to ``problems``."""
    import requests  # noqa: PLC0415 (slow, and only a download needs it)

    try:
        _receive(url, stream, file)
    except (requests.RequestException, DownloadError) as error:
        problems.append(f"{url}: {error}")
        return False
    finally:
        stream.flush()
    if fault := fault_in(part, file):
        # Nothing of it can be trusted, so nothing of it is kept.
        stream.truncate(0)
        problems.append(f"{url}: {fault}")
        return False
    return True


def _receive(url: str, stream: IO[bytes], file: RemoteFile) -> None:
    """Append to ``stream`` what it lacks of ``url``."""
    import pooch  # noqa: PLC0415 (slow, and only a download needs it)

    had = stream.seek(0, os.SEEK_END)
    if had == file.bytes:
        return
    if had > file.bytes:
        stream.truncate(had := 0)
    # The first look at an answer is ours: pooch neither resumes nor refuses web pages.
    fetch = pooch.HTTPDownloader(
        timeout=(_CONNECT_S, _READ_S),
        chunk_size=_BLOCK_BYTES,
        headers={"Accept-Encoding": "identity", **({"Range": f"bytes={had}-"} if had else {})},
        hooks={"response": lambda answer, **_: _check(answer, stream, had=had, whole=file.bytes)},
    )
    fetch(url, _Reported(stream, file), None)


def _check(answer: requests.Response, stream: IO[bytes], *, had: int, whole: int) -> None:
    if answer.is_redirect or not answer.ok:
        return
    if "html" in answer.headers.get("Content-Type", ""):
        raise DownloadError("a web page came instead of the file")
    if had and answer.status_code != _RANGE_HONOURED:
        # The server sends the whole file again.
        stream.truncate(had := 0)
    offered = had + int(answer.headers.get("Content-Length", whole - had))
    if offered != whole:
        raise DownloadError(f"{offered} bytes are offered instead of {whole}: another version")


class _Reported:
    """An open file that says now and then how far it has got."""

    def __init__(self, stream: IO[bytes], file: RemoteFile) -> None:
        self._stream, self._file = stream, file
        self._reported = time.monotonic()

    def write(self, block: bytes) -> None:
        self._stream.write(block)
        if time.monotonic() - self._reported > _REPORT_S:
            self._reported = time.monotonic()
            done, total = self._stream.tell() / 1e6, self._file.bytes / 1e6
            logger.info("%s: %.0f of %.0f MB", self._file.path, done, total)

    def flush(self) -> None:
        self._stream.flush()


def _part_of(file: RemoteFile, root: Path) -> Path:
    return (root / file.path).with_name(f"{PurePosixPath(file.path).name}.part")


def already_there(files: Iterable[RemoteFile], root: Path) -> int:
    """Bytes of ``files`` that earlier attempts have left below ``root``."""
    parts = (_part_of(file, root) for file in files)
    return sum(part.stat().st_size for part in parts if part.exists())


def total_bytes(files: Sequence[RemoteFile]) -> int:
    """Size of all ``files`` together."""
    return sum(file.bytes for file in files)
