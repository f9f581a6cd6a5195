"""Facts about an output that every later step inherits: which phantoms, which engines."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import h5py

from quietpet.errors import InputError
from quietpet.files.hdf5 import read_attribute

NOT_PROJECTED = "-"
"""Value of ``projector`` in the lineage of real scans: the scanner's own reconstruction."""

Lineage = dict[str, str]
"""Keys ``data_source``, ``projector``, ``registration``; a step adds what it decides."""


def lineage_of(file: h5py.File) -> Lineage:
    """The lineage an open file carries."""
    return read_attribute(file, "lineage")


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
