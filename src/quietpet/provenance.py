"""Where an output came from: settings, inputs, code, versions, engines, time."""

from __future__ import annotations

import functools
import hashlib
import importlib.metadata
import json
import os
import platform
import time
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from quietpet.errors import reading
from quietpet.fingerprint.walk import fingerprint, module_fingerprints

_REPORTED_PACKAGES = (
    "quietpet",
    "torch",
    "numpy",
    "scipy",
    "h5py",
    "monai",
    "nilearn",
    "nibabel",
    "SimpleITK",
    "nipype",
    "scikit-image",
)

_SETTLED_NS = 2 * 10**9
"""Age from which another content of a file has another time, however coarse its file system's clock."""

_ORIGIN = ("stage", "settings", "inputs", "code", "python")


class Stopwatch:
    """Wall time since construction."""

    def __init__(self) -> None:
        self._began = time.monotonic()

    def seconds(self) -> float:
        return round(time.monotonic() - self._began, 3)


def provenance(
    stage: str,
    *,
    settings: Mapping[str, Any],
    inputs: Iterable[Path],
    watch: Stopwatch,
    device: str = "cpu",
    also: tuple[str, ...] = (),
    engines: Mapping[str, str] | None = None,
) -> dict[str, Any]:
    """A JSON-able record of how an output was made.

    ``code`` is one fingerprint of all code that counts, ``modules`` those of its parts.

    ``also`` names modules that the stage loads by name, which its imports do not show; ``engines`` gives
    versions of programs that are no Python packages.
    """
    return {
        "stage": stage,
        "settings": dict(settings),
        "inputs": {str(path): file_digest(path) for path in inputs},
        "code": fingerprint(f"stages.{stage}", *also),
        "modules": module_fingerprints(f"stages.{stage}", *also),
        "versions": {**_versions(), **(engines or {})},
        "python": platform.python_version(),
        "device": device,
        "processor": processor(),
        "wall_s": watch.seconds(),
        "made": datetime.now(UTC).isoformat(timespec="seconds"),
    }


def tell_of(
    records: Iterable[Mapping[str, Any]],
    stage: str,
    *,
    settings: Mapping[str, Any],
    inputs: Iterable[Path],
    also: tuple[str, ...] = (),
) -> bool:
    """Whether each :func:`provenance` is that of these settings, inputs, code and packages.

    Versions of ``engines``, the device and the time do not matter.
    """
    now = provenance(stage, settings=settings, inputs=inputs, watch=Stopwatch(), also=also)
    return all(
        _origin(record) == _origin(now) and now["versions"].items() <= record.get("versions", {}).items()
        for record in records
    )


def _origin(record: Mapping[str, Any]) -> str:
    return json.dumps({name: record.get(name) for name in _ORIGIN}, sort_keys=True)


def file_digest(path: Path) -> str:
    """SHA-256 of a file's bytes, which a process reads once as long as nobody writes to the file.

    Raises:
        InputError: it cannot be read, as where its disk has gone.
    """
    with reading(path, "not readable"):
        found = path.stat()
        if time.time_ns() - max(found.st_mtime_ns, found.st_ctime_ns) < _SETTLED_NS:
            return _content_digest(path)
        return _digest_of_settled(path.absolute(), _identity(found))


@functools.cache
def _digest_of_settled(path: Path, _: tuple[int, ...]) -> str:
    return _content_digest(path)


def _identity(found: os.stat_result) -> tuple[int, ...]:
    """What changes with the content of a file; nobody can set back its `ctime`."""
    return found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns


def _content_digest(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def settings_digest(settings: Mapping[str, Any]) -> str:
    """Short name of a set of settings, whatever the order of its keys."""
    return hashlib.sha256(json.dumps(settings, sort_keys=True).encode()).hexdigest()[:12]


def processor() -> str:
    """The model of the CPU, whose instructions decide the last digits of sums."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        lines = []
    named = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(named, "") or platform.processor() or platform.machine()


def _versions() -> dict[str, str]:
    found = {}
    for name in _REPORTED_PACKAGES:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found
