"""Which engines of the system model are here. Free of torch: every start of the workflow asks."""

from __future__ import annotations

import functools
import importlib.util
import os
import signal
import subprocess
import sys

from quietpet.errors import InputError

SIRF_REMEDY = (
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


def require_installed(projector: str) -> None:
    """Refuse a ``scanner.projector`` that is not installed here.

    Raises:
        InputError: SIRF is asked for and absent.
    """
    if projector == "sirf" and not sirf_is_installed():
        raise InputError(f"scanner.projector = 'sirf', but SIRF is not installed here; {SIRF_REMEDY}.")


def require_usable(projector: str) -> None:
    """Refuse a ``scanner.projector`` that does not work here, before any job; SIRF is tried.

    Raises:
        InputError: SIRF is asked for, and absent or broken.
    """
    require_installed(projector)
    if projector == "sirf" and (fault := sirf_fault()):
        raise InputError(
            f"scanner.projector = 'sirf', but SIRF does not work here ({fault}); {SIRF_REMEDY}."
        )


def available_engine() -> tuple[str, str]:
    """``sirf`` where it works, else ``embedded``; and why."""
    if not sirf_is_installed():
        return "embedded", "SIRF is not installed here"
    if fault := sirf_fault():
        return "embedded", f"SIRF is installed but does not work ({fault})"
    return "sirf", "SIRF works here"
