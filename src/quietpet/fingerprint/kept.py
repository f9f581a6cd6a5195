"""Fingerprints that an earlier command found of exactly these sources.

Each job and each start of Snakemake asks for the same few; to find one takes a fifth of a second, to see
that no source has changed a tenth of that. They lie with Python's compiled sources, and go with them.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import sys
from collections.abc import Callable
from pathlib import Path

from quietpet.errors import InputError
from quietpet.files.text import write_json

COMPILED = "__pycache__"
"""Folders of what Python makes of sources."""


def kept(folder: Path, roots: tuple[str, ...], find: Callable[[], str]) -> str:
    """The fingerprint of ``roots`` in the package ``folder``: as kept there, or as ``find`` finds it."""
    place, sources = folder / COMPILED / "fingerprints.json", _digest(folder)
    name = " ".join(roots)
    if name in (known := _known(place, sources)):
        return known[name]
    found = find()
    with contextlib.suppress(OSError, InputError):  # where nothing can be written, all are found anew
        write_json(place, {"sources": sources, "found": {**_known(place, sources), name: found}})
    return found


def _known(place: Path, sources: str) -> dict[str, str]:
    """What is kept of these sources."""
    try:
        content = json.loads(place.read_text(encoding="utf-8"))
        return dict(content["found"]) if content["sources"] == sources else {}
    except (OSError, ValueError, KeyError, TypeError):
        return {}


def _digest(folder: Path) -> str:
    """Of all files of the package by their places, and of the Python that reads them."""
    digest = hashlib.sha256(sys.version.encode())
    for path in sorted(folder.rglob("*")):
        if COMPILED not in path.parts and path.is_file():
            digest.update(f"\0{path.relative_to(folder)}\0".encode())
            digest.update(hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()
