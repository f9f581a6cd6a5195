"""Files of restored slices."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np

from quietpet.files.lineage import Lineage
from quietpet.files.records import TEXTS, VALUES, Record


@dataclass(frozen=True, kw_only=True, eq=False)
class RestoredSlices(Record):
    """Images (slice, y, x), float32, in the unit of the data, by one replicate of a method.

    ``single`` is the first sample; of several ``samples`` there are also their ``mean`` and
    ``standard_deviation``.
    """

    KIND: ClassVar[str] = "restored"

    dataset: str
    setting: str
    method: str
    learning: str
    replicate: str
    samples: int
    lineage: Lineage
    key: list[str] = field(metadata=TEXTS)
    single: np.ndarray = field(metadata=VALUES)
    mean: np.ndarray | None = field(default=None, metadata=VALUES)
    standard_deviation: np.ndarray | None = field(default=None, metadata=VALUES)


@dataclass(frozen=True, kw_only=True, eq=False)
class RestoredName(Record):
    """Which slices of which data set a file holds, and which method restored them."""

    KIND: ClassVar[str] = "restored"

    dataset: str
    setting: str
    method: str
    key: list[str] = field(metadata=TEXTS)


@dataclass(frozen=True, kw_only=True, eq=False)
class RestoredSingle(Record):
    """The first sample of each slice (slice, y, x), in the unit of the data."""

    KIND: ClassVar[str] = "restored"

    single: np.ndarray = field(metadata=VALUES)
