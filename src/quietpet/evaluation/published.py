"""The published values that ours are printed beside: Tables 1 to 7 of the MFdiff paper."""

from __future__ import annotations

import csv
import functools
from collections.abc import Iterable, Mapping
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
    doubts = [(_key(row), row["doubt"]) for row in _rows("doubts.csv")]
    values = {}
    for row in _rows("published.csv"):
        key = _key(row)
        values[key] = PublishedValue(
            mean=float(row["paper_mean"]),
            std=float(row["paper_std"]),
            doubt=next((doubt for cells, doubt in doubts if _is_among(key, cells)), ""),
        )
    return MappingProxyType(values)


def _is_among(key: PublishedKey, cells: PublishedKey) -> bool:
    """Whether ``cells`` names ``key``; what it leaves empty is any."""
    return all(named in ("", own) for named, own in zip(cells, key, strict=True))


def _key(row: Mapping[str, str]) -> PublishedKey:
    return PublishedKey(*(row[name] for name in PublishedKey._fields))


def _rows(name: str) -> Iterable[Mapping[str, str]]:
    return csv.DictReader(files("quietpet.evaluation").joinpath(name).read_text().splitlines())


def published_methods(table: str) -> tuple[str, ...]:
    """The methods of one published table, in its order."""
    return tuple(dict.fromkeys(key.method for key in published_values() if key.table == table))
