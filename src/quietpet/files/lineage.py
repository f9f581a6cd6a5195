"""Facts about an output that every later step inherits: which phantoms, which engines."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from quietpet.errors import InputError

NOT_PROJECTED = "-"
"""Value of ``projector`` in the lineage of real scans: the scanner's own reconstruction."""

Lineage = dict[str, str]
"""Keys ``data_source``, ``projector``, ``registration``; a step adds what it decides."""


def common_lineage(lineages: Iterable[tuple[Path | str, Lineage]]) -> Lineage:
    """The one lineage that several files share; mixing, say, two phantom sources is refused."""
    (first_path, first), *others = lineages
    for path, lineage in others:
        if lineage != first:
            raise InputError(
                f"{path} was made with {lineage}, but {first_path} with {first}; "
                "they cannot enter one data set. Make the older one again."
            )
    return first
