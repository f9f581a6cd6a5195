"""Which engines of the system model are here. Free of torch: every start of the workflow asks."""

from __future__ import annotations

import importlib.util

from quietpet.errors import InputError

SIRF_REMEDY = (
    "run in the container ghcr.io/synerbi/sirf or build SIRF with the SIRF-SuperBuild (it is neither on "
    "PyPI nor on conda; see envs/sirf.md), or set scanner.projector to 'embedded' or 'auto'"
)


def sirf_is_installed() -> bool:
    """Whether Python finds SIRF; only an import shows whether it also works."""
    return importlib.util.find_spec("sirf") is not None


def require_installed(projector: str) -> None:
    """Refuse a ``scanner.projector`` that is not installed here.

    Raises:
        InputError: SIRF is asked for and absent.
    """
    if projector == "sirf" and not sirf_is_installed():
        raise InputError(f"scanner.projector = 'sirf', but SIRF is not installed here; {SIRF_REMEDY}.")
