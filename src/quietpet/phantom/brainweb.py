"""The 20 normal BrainWeb subjects: which there are, whether a file is whole, fetching, reading.

Sources: Cocosco et al., NeuroImage 5:S425 (1997); Aubert-Broche et al., IEEE TMI 25:1410 (2006). Files
have the names and the content that the ``brainweb`` package gives them, so that its cache can be used.
They are fetched with ``pooch`` and compared with the pinned SHA-256 of the unpacked volume, since that
package's download has neither time-out nor status check nor checksum.
"""

from __future__ import annotations

import csv
import gzip
import hashlib
import time
import zlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from quietpet.errors import InputError, reading, replacing
from quietpet.files.atomic import atomic_path
from quietpet.phantom.tissues import CLASS_BITS, LabelVolume, Tissue

SUBJECTS = ("04", "05", "06", "18", "20", "38", *(str(number) for number in range(41, 55)))
VOXEL_MM = 0.5
SHAPE = (362, 434, 362)
"""Voxels (z, y, x)."""

_CONNECT_S, _READ_S = 5.0, 30.0
_ATTEMPTS, _PAUSE_S = 2, 2.0
_BLOCK_BYTES = 1 << 20


class DownloadError(Exception):
    """A volume could not be fetched whole; the message says why."""


@dataclass(frozen=True, kw_only=True)
class Source:
    """Where a volume comes from, and what it is once unpacked."""

    url: str
    sha256: str
    bytes: int


def file_name(subject: str) -> str:
    """Name of a subject's file in a cache folder, as the ``brainweb`` package uses it."""
    return f"subject_{subject}.bin.gz"


def read_sources(table: Path) -> dict[str, Source]:
    """The BrainWeb rows of the table of external files, by subject.

    Raises:
        InputError: the table is missing, lacks a column, or lacks a subject.
    """
    if not table.exists():
        raise InputError(f"{table}: no such table of external files.")
    with reading(table, "not a whole table of external files", KeyError, TypeError):
        with table.open(newline="") as stream:
            rows = {row["id"]: row for row in csv.DictReader(stream, delimiter="\t")}
        return {
            subject: Source(url=row["url"], sha256=row["sha256"], bytes=int(row["bytes"]))
            for subject in SUBJECTS
            for row in [rows[f"brainweb_{subject}"]]
        }


def fault_in(packed: Path, source: Source) -> str | None:
    """What is wrong with a gzipped volume, or None if it unpacks to exactly the pinned bytes."""
    digest, size = hashlib.sha256(), 0
    try:
        with gzip.open(packed) as stream:
            while block := stream.read(_BLOCK_BYTES):
                digest.update(block)
                size += len(block)
                if size > source.bytes:
                    return f"unpacks to more than {source.bytes} bytes"
    except (OSError, EOFError, zlib.error) as error:
        return f"not a whole gzip file ({error})"
    if size != source.bytes:
        return f"unpacks to {size} bytes instead of {source.bytes}"
    if digest.hexdigest() != source.sha256:
        return f"its unpacked SHA-256 is {digest.hexdigest()} instead of {source.sha256}"
    return None


def require_plausible(packed: Path, source: Source) -> None:
    """Refuse what is plainly not the pinned volume, without unpacking it.

    The checksum is compared where the volume is unpacked anyway, by :func:`read_volume`.

    Raises:
        InputError: no gzip file, or one of another unpacked length (the last four bytes, RFC 1952).
    """
    with reading(packed, "not a gzip file"):
        content = packed.read_bytes()
    length = int.from_bytes(content[-4:], "little")
    if content[:2] != b"\x1f\x8b" or length != source.bytes:
        raise InputError(
            f"{packed}: not a gzip file that unpacks to {source.bytes} bytes. {_replacing(packed)}"
        )


def download(source: Source, target: Path) -> None:
    """Fetch one volume; ``target`` appears only when it is whole and has the pinned checksum.

    Raises:
        DownloadError: no answer in time, an error status, a wrong file, or a folder that is read-only.
    """
    import pooch  # noqa: PLC0415 (slow, and only a download needs it)

    fetch = pooch.HTTPDownloader(timeout=(_CONNECT_S, _READ_S), chunk_size=_BLOCK_BYTES)
    for attempt in range(1, _ATTEMPTS + 1):
        try:
            with atomic_path(target) as partial:
                fetch(source.url, str(partial), None)
                if fault := fault_in(partial, source):
                    raise DownloadError(f"{source.url}: {fault}")
            return
        except (OSError, DownloadError) as error:  # every error of requests is an OSError
            if attempt == _ATTEMPTS:
                raise DownloadError(f"{target.name} could not be fetched: {error}") from error
            time.sleep(_PAUSE_S)


def read_volume(packed: Path, *, source: Source | None = None) -> LabelVolume:
    """Tissue codes of one subject, with y flipped to run from anterior to posterior.

    Raises:
        InputError: the file is damaged, has another size, holds labels that are no BrainWeb class, or
            is not the one that ``source`` pins.
    """
    codes, digest = np.empty(SHAPE, np.uint8), hashlib.sha256()
    with (
        reading(packed, "not a readable BrainWeb volume", EOFError, zlib.error),
        gzip.open(packed) as stream,
    ):
        # Plane by plane, so that the 16-bit labels never leave the cache.
        for plane in codes:
            raw = stream.read(2 * plane.size)
            digest.update(raw)
            plane[::-1] = _tissue_codes(raw).reshape(plane.shape)
        if stream.read(1):  # the end of the file is also where gzip's checksum is compared
            raise ValueError(f"it unpacks to more than {2 * codes.size} bytes")
    if source and digest.hexdigest() != source.sha256:
        raise InputError(
            f"{packed}: its unpacked SHA-256 is {digest.hexdigest()} instead of {source.sha256}. "
            f"{_replacing(packed)}"
        )
    return LabelVolume(codes=codes, voxel_mm=VOXEL_MM)


def with_sound_end(volume: LabelVolume) -> LabelVolume:
    """The head with its lowest plane replaced by the one above it.

    That plane is misclassified in all 20 files: no bone, fat and muscle in only one, vessels in up to a
    quarter of the head, and in subject 53 vessels from edge to edge. Where blood is as bright as the
    brain, half a millimetre of it shines in PET, while vessels are dark in T1.
    """
    codes = volume.codes.copy()
    codes[0] = codes[1]
    return LabelVolume(codes=codes, voxel_mm=volume.voxel_mm)


def _replacing(packed: Path) -> str:
    return replacing(packed, again="run again to have it fetched")


def _tissue_codes(raw: bytes) -> np.ndarray:
    """Tissue codes, uint8, of raw 16-bit labels; ValueError for a label that is no BrainWeb class."""
    labels = np.frombuffer(raw, "<u2")
    if labels.max(initial=0) > max(Tissue) | ~CLASS_BITS & 0xFF:
        raise ValueError(f"label {labels.max()} is no BrainWeb class")
    return (labels & CLASS_BITS).astype(np.uint8)
