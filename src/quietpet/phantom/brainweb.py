"""The 20 normal BrainWeb subjects: which there are, whether a file is whole, fetching, reading.

Sources: Cocosco et al., NeuroImage 5:S425 (1997); Aubert-Broche et al., IEEE TMI 25:1410 (2006).
Subjects, names of files, links, label classes and the reading of a volume are those of the ``brainweb``
package, whose cache can be used. Around it stand checks of length, labels and SHA-256. Its own download
has neither time-out nor status check nor checksum: ``pooch`` fetches the files.
"""

from __future__ import annotations

import csv
import functools
import gzip
import hashlib
import time
import warnings
import zlib
from dataclasses import dataclass, replace
from pathlib import Path
from types import ModuleType

import numpy as np

from quietpet.errors import InputError, reading, replacing
from quietpet.files.atomic import atomic_path
from quietpet.phantom.tissues import LabelVolume, Tissue

VOXEL_MM = 0.5

_CLASSES = {
    "background": Tissue.AIR,
    "csf": Tissue.CSF,
    "greyMatter": Tissue.GREY_MATTER,
    "whiteMatter": Tissue.WHITE_MATTER,
    "fat": Tissue.FAT,
    "muscle": Tissue.MUSCLE,
    "skin": Tissue.SKIN,
    "skull": Tissue.SKULL,
    "vessels": Tissue.VESSELS,
    "aroundFat": Tissue.AROUND_FAT,
    "dura": Tissue.DURA,
    "marrow": Tissue.MARROW,
}
"""Our tissue of each class, by the package's name for it."""

_LABELS_PER_CLASS = 16
"""The lowest four bits of a label belong to no class; in three classes the lowest is always set."""

_NO_CLASS = 255

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


@functools.cache
def subjects() -> tuple[str, ...]:
    """The subjects that BrainWeb has, "04" to "54"."""
    return tuple(name.removeprefix("subject_").split(".")[0] for name in _package().LINKS)


def file_name(subject: str) -> str:
    """Name of a subject's file in a cache folder, as the ``brainweb`` package uses it."""
    return f"subject_{subject}.bin.gz"


def read_sources(table: Path) -> dict[str, Source]:
    """Links of all subjects, with the checksums and sizes that the table of external files pins.

    Raises:
        InputError: the table is missing, lacks a column, or lacks a subject.
    """
    if not table.exists():
        raise InputError(f"{table}: no such table of external files.")
    with reading(table, "not a whole table of external files", KeyError, TypeError):
        with table.open(newline="") as stream:
            rows = {row["id"]: row for row in csv.DictReader(stream, delimiter="\t")}
        return {
            subject: Source(
                url=_package().LINKS[file_name(subject)], sha256=row["sha256"], bytes=int(row["bytes"])
            )
            for subject in subjects()
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
    with reading(packed, "not a readable BrainWeb volume", EOFError, zlib.error):
        labels = _package().load_file(packed)
        codes = _tissue_codes(labels)
    digest = hashlib.sha256(labels).hexdigest()
    if source and digest != source.sha256:
        raise InputError(
            f"{packed}: its unpacked SHA-256 is {digest} instead of {source.sha256}. "
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
    return replace(volume, codes=codes)


def _replacing(packed: Path) -> str:
    return replacing(packed, again="run again to have it fetched")


def _tissue_codes(labels: np.ndarray) -> np.ndarray:
    """Tissue codes, uint8, of raw labels (z, y, x), with y flipped.

    Raises:
        ValueError: a label is of no class.
    """
    tissue_of = np.full(1 << 16, _NO_CLASS, np.uint8)
    for name, tissue in _CLASSES.items():
        label = getattr(_package().Act, name)
        tissue_of[label : label + _LABELS_PER_CLASS] = tissue
    codes = np.empty(labels.shape, np.uint8)
    # Plane by plane, because indices become 64-bit numbers.
    for plane, raw in zip(codes, labels, strict=True):
        plane[::-1] = tissue_of[raw]
    if codes.max() == _NO_CLASS:
        raise ValueError(f"label {labels.max()} is no BrainWeb class")
    return codes


@functools.cache
def _package() -> ModuleType:
    """The ``brainweb`` package, imported by those who need it: it takes half a second."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # it uses a name that SciPy 2 will not have
        import brainweb  # noqa: PLC0415
    return brainweb
