"""Memory that a training or a restoration frees and soon needs again."""

from __future__ import annotations

import contextlib
import ctypes

_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3
"""Parameters of mallopt, as in malloc.h."""

_ARRAY_BYTES, _ALL_BYTES = 2**25, 2**30
"""Of the largest array whose memory is kept, at most what any glibc takes; and of all that is kept."""


def keep_freed_memory() -> None:
    """Let the allocator keep what is freed for the next arrays of this process.

    Layers allocate and free megabytes at each step. glibc would hand them back to the kernel and get
    them again page by page, which takes a tenth of a step on a CPU (mallopt(3)). Elsewhere nothing
    changes.
    """
    with contextlib.suppress(AttributeError, OSError, TypeError):
        mallopt = ctypes.CDLL(None).mallopt
        mallopt(_M_MMAP_THRESHOLD, _ARRAY_BYTES)
        mallopt(_M_TRIM_THRESHOLD, _ALL_BYTES)
