"""Which engines of the system model are here, and which code they are. Free of torch."""

from __future__ import annotations

from quietpet.config.scanner import AUTO
from quietpet.errors import InputError
from quietpet.projection.backends import BACKENDS, FOLDER

FALLBACK = "embedded"
"""What ``auto`` takes where no other engine works."""


def require_installed(projector: str) -> None:
    """Refuse a ``scanner.projector`` that is not installed here.

    Raises:
        InputError: it is absent, or there is no such engine.
    """
    if projector == AUTO:
        return
    if projector not in BACKENDS:
        raise InputError(
            f"the projector {projector!r} is none of this installation; there are {', '.join(BACKENDS)}."
        )
    backend = BACKENDS[projector]
    if not backend.installed():
        raise InputError(
            f"scanner.projector = {projector!r}, but {backend.program} is not installed here; "
            f"{backend.remedy}."
        )


def require_usable(projector: str) -> None:
    """Refuse a ``scanner.projector`` that does not work here, before any job; it is tried.

    Raises:
        InputError: it is absent or broken, or there is no such engine.
    """
    require_installed(projector)
    if projector != AUTO and (fault := (backend := BACKENDS[projector]).fault()):
        raise InputError(
            f"scanner.projector = {projector!r}, but {backend.program} does not work here ({fault}); "
            f"{backend.remedy}."
        )


def available_engine() -> tuple[str, str]:
    """What ``auto`` means here, and why: the first automatic engine that works, else ``embedded``."""
    reasons = []
    for name, backend in BACKENDS.items():
        if not backend.automatic:
            continue
        if not backend.installed():
            reasons.append(f"{backend.program} is not installed here")
        elif fault := backend.fault():
            reasons.append(f"{backend.program} is installed but does not work ({fault})")
        else:
            return name, f"{backend.program} works here"
    return FALLBACK, "; ".join(reasons) or "no other engine is automatic"


def code_of(projector: str) -> tuple[str, ...]:
    """Names, below the package, of modules behind a ``scanner.projector``; results depend on them.

    They are imported under computed names, so that nothing else tells that a step reaches them. With
    ``auto`` any engine may be meant.
    """
    return tuple(f"{FOLDER}.{name}" for name in _meant(projector))


def osem_code_of(projector: str) -> tuple[str, ...]:
    """The same of the modules that reconstruct with it."""
    return tuple(dict.fromkeys(BACKENDS[name].osem_module for name in _meant(projector)))


def _meant(projector: str) -> tuple[str, ...]:
    return tuple(BACKENDS) if projector == AUTO else (projector,)
