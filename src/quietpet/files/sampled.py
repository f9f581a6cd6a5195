"""What tells large files apart without reading all of them: parts of their content, not their times."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from pathlib import Path

_BLOCK_BYTES = 1 << 16


def sampled_digest(paths: Iterable[Path]) -> str:
    """Of the sizes of files and their first, middle and last 64 KiB, in order, wherever they lie.

    The end of a gzip file is the checksum of all of it (RFC 1952), and the middle of an uncompressed
    image of a head is in the head. A file that cannot be read counts as empty; copies are alike.
    """
    digest = hashlib.sha256()
    for path in paths:
        try:
            with path.open("rb") as stream:
                size = stream.seek(0, 2)
                digest.update(f"{size};".encode())
                for start in (0, max(0, (size - _BLOCK_BYTES) // 2), max(0, size - _BLOCK_BYTES)):
                    stream.seek(start)
                    digest.update(stream.read(_BLOCK_BYTES))
        except OSError:
            digest.update(b"-;")
    return digest.hexdigest()
