"""Whether SIRF is here and works. Free of torch: every start of the workflow asks."""

from __future__ import annotations

import functools
import importlib.util
import os
import signal
import subprocess
import sys

REMEDY = (
    "run in the container ghcr.io/synerbi/sirf or build SIRF with the SIRF-SuperBuild (it is neither on "
    "PyPI nor on conda; see envs/sirf.md), or set scanner.projector to 'embedded'"
)

_IMPORT_SIRF = "import sirf.STIR as stir; stir.get_engine_version_string(); stir.MessageRedirector"
_PATIENCE_S = 120


def sirf_is_installed() -> bool:
    """Whether Python finds SIRF; only an import shows whether it also works."""
    return importlib.util.find_spec("sirf") is not None


@functools.cache
def sirf_fault() -> str | None:
    """Why an installed SIRF cannot be used here, in a few words; None if it can.

    It is imported in a process of its own: libraries that do not fit may end the one that loads them.
    """
    try:
        done = subprocess.run(
            [sys.executable, "-c", _IMPORT_SIRF],
            env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
            capture_output=True,
            text=True,
            errors="replace",
            timeout=_PATIENCE_S,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return f"importing it took longer than {_PATIENCE_S} s"
    if done.returncode < 0:
        return f"importing it ended Python with {signal.Signals(-done.returncode).name}"
    if done.returncode:
        return (done.stderr.strip() or f"importing it ended Python with {done.returncode}").splitlines()[
            -1
        ]
    return None
