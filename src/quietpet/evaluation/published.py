"""The published values that ours are printed beside: Tables 1 to 7 of the MFdiff paper."""

from __future__ import annotations

import csv
import functools
from importlib.resources import files
from types import MappingProxyType
from typing import NamedTuple


class PublishedKey(NamedTuple):
    """Which cell of which published table."""

    table: str
    dataset: str
    setting: str
    method: str
    metric: str


class PublishedValue(NamedTuple):
    """Mean and standard deviation over slices, in the unit of the metric.

    ``doubt`` says which other published statement contradicts them, if one does.
    """

    mean: float
    std: float
    doubt: str = ""


@functools.cache
def published_values() -> MappingProxyType[PublishedKey, PublishedValue]:
    """Every published value, in the order of the tables."""
    text = files("quietpet.evaluation").joinpath("published.csv").read_text()
    values = {}
    for row in csv.DictReader(text.splitlines()):
        key = PublishedKey(*(row[name] for name in PublishedKey._fields))
        values[key] = PublishedValue(
            mean=float(row["paper_mean"]), std=float(row["paper_std"]), doubt=row["doubt"]
        )
    return MappingProxyType(values)


def published_methods(table: str) -> tuple[str, ...]:
    """The methods of one published table, in its order."""
    return tuple(dict.fromkeys(key.method for key in published_values() if key.table == table))
