"""HDF5 files as records: a marked field is an array of the file, any other one of its JSON attributes.

So the names of a kind of file stand once, as the fields of its class. A class that has some of them is a
view of such files: what it lacks is not read.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import MISSING, Field, dataclass, field, fields
from pathlib import Path
from typing import Any, ClassVar, TypeVar

import h5py
import numpy as np

from quietpet.files.hdf5 import (
    Parts,
    open_hdf5,
    read_array,
    read_attribute,
    read_nonnegative,
    read_rows,
    read_strings,
    read_values,
    write_hdf5,
)

Marks = Mapping[str, Any]

ARRAY: Marks = {"read": read_array}
"""Finite numbers."""
NONNEGATIVE: Marks = {"read": read_nonnegative}
"""Finite numbers, none below 0."""
VALUES: Marks = {"read": read_values}
"""Numbers, finite or not: who reads them looks."""
TEXTS: Marks = {"read": read_strings}
MATRIX: Marks = {"matrix": True}
"""A small array that is kept as an attribute."""
NOT_KEPT: Marks = {"kept": False}


@dataclass(frozen=True, kw_only=True, eq=False)
class Record:
    """What one file holds; ``KIND`` names its schema, ``AXES`` those of its images.

    Fields of arrays are marked by their metadata. A field with a default may be missing, and is where it
    has that.
    ``origin`` is the path of a file that was read, or what else messages call the record.
    """

    KIND: ClassVar[str]
    AXES: ClassVar[str] = ""

    origin: Path | str = field(default="", metadata=NOT_KEPT)


Kind = TypeVar("Kind", bound=Record)


def write_record(target: Path, record: Record, *, provenance: Mapping[str, Any]) -> None:
    """Write a file that :func:`read_record` reads back, with where it came from."""
    attributes: dict[str, Any] = {"axes": record.AXES} if record.AXES else {}
    arrays = {}
    for each in _kept(type(record)):
        value = getattr(record, each.name)
        if value is each.default:
            continue
        if _is_array(each):
            arrays[each.name] = _storable(value)
        else:
            attributes[each.name] = _jsonable(value)
    attributes["provenance"] = provenance
    write_hdf5(target, kind=record.KIND, arrays=arrays, attributes=attributes)


def read_record(path: Path, kind: type[Kind], *, rows: Sequence[int] | None = None) -> Kind:
    """The file at ``path``, or of its arrays these ``rows`` alone.

    Raises:
        InputError: the file is missing, incomplete, of another kind, or lacks a field; an array holds
            what its mark excludes.
    """
    with open_hdf5(path, kind=kind.KIND) as file:
        held = {each.name: _read(file, each, rows) for each in _kept(kind)}
    return kind(origin=path, **held)


def _kept(kind: type[Record]) -> list[Field[Any]]:
    return [each for each in fields(kind) if each.metadata.get("kept", True)]


def _read(file: h5py.File, each: Field[Any], rows: Sequence[int] | None) -> Any:
    among = file if _is_array(each) else file.attrs
    if each.default is not MISSING and each.name not in among:
        return each.default
    if _is_array(each):
        return (
            each.metadata["read"](file, each.name) if rows is None else read_rows(file, each.name, rows)
        )
    value = read_attribute(file, each.name)
    return np.array(value, dtype=np.float64) if each.metadata.get("matrix") else value


def _is_array(each: Field[Any]) -> bool:
    return "read" in each.metadata


def _storable(value: np.ndarray | Parts | Sequence[str]) -> np.ndarray | Parts:
    return value if isinstance(value, Parts) else np.asarray(value)


def _jsonable(value: Any) -> Any:
    return value.tolist() if isinstance(value, np.ndarray) else value
