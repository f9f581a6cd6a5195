"""Facts about an output that every later step inherits: which phantoms, which engines."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from quietpet.errors import InputError

NOT_PROJECTED = "-"
"""Value of ``projector`` in the lineage of real scans: the scanner's own reconstruction."""

UNREGISTERED = "none"
"""Value of ``registration`` of scans without T1, to which nothing is registered."""

Lineage = dict[str, str]
"""Keys ``data_source``, ``projector``, ``registration``; a step adds what it decides."""


def common_lineage(lineages: Iterable[tuple[Path | str, Lineage]]) -> Lineage:
    """The one lineage that several files share; mixing, say, two phantom sources is refused.

    Scans without T1 agree with whatever engine registers others.
    """
    given = [*lineages]
    first_path, first = next((each for each in given if _is_registered(each[1])), given[0])
    for path, lineage in given:
        if lineage != first and (_is_registered(lineage) or {**lineage, **_engine(first)} != first):
            raise InputError(
                f"{path} was made with {lineage}, but {first_path} with {first}; "
                "they cannot enter one data set. Make the older one again."
            )
    return first


def _is_registered(lineage: Lineage) -> bool:
    return lineage.get("registration") != UNREGISTERED


def _engine(lineage: Lineage) -> Lineage:
    return {name: value for name, value in lineage.items() if name == "registration"}
