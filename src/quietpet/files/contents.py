"""What a file holds, whatever its kind: arrays, values by key, a table or lines; not its bytes.

HDF5 gives arrays and attributes, safetensors tensors and metadata, NIfTI voxels and header, PNG pixels,
JSON values, CSV and workbooks cells, texts lines. How a file was made is apart from what it holds.
"""

from __future__ import annotations

import csv
import gzip
import io
import json
import zipfile
import zlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast
from xml.etree.ElementTree import ParseError

import h5py
import matplotlib.image
import nibabel as nib
import numpy as np
from openpyxl import load_workbook
from safetensors import SafetensorError, deserialize, safe_open

from quietpet.errors import InputError, reading
from quietpet.files.hdf5 import damage_explained, hdf5_for_reading
from quietpet.files.text import read_json, read_text

_BLOCK_BYTES = 2**26
_PROVENANCE = "provenance"
_STAGE_KEYS = {"stage", "settings", "inputs"}
"""Keys of a JSON file that is nothing but a record of how others were made."""

_TENSORS_DIGEST = "sha256"
"""Key of the checksum in files of `files.tensors`, which imports torch."""

_RECORD_PARTS = ("settings", "inputs", "modules", "versions")
"""What a record holds by name."""

_TABLES = {".csv": ",", ".tsv": "\t"}
_TEXTS = {".html", ".md", ".mat", ".rst", ".svg", ".tex", ".tfm", ".txt"}
_NUMPY_TYPES = {
    "BOOL": "?", "U8": "u1", "I8": "i1", "U16": "<u2", "I16": "<i2", "F16": "<f2", "U32": "<u4",
    "I32": "<i4", "F32": "<f4", "U64": "<u8", "I64": "<i8", "F64": "<f8",
}  # fmt: skip
"""Of the types of safetensors; bfloat16 has none in numpy."""


@dataclass(frozen=True, kw_only=True)
class Array:
    """An array by its shape and type; ``blocks`` gives it part after part along the first axis."""

    shape: tuple[int, ...]
    dtype: str
    blocks: Callable[[], Iterator[np.ndarray]]


@dataclass(frozen=True, kw_only=True)
class Content:
    """What a file holds. ``record`` is how it was made, if it says so.

    ``values`` are by their keys, those of nested objects joined by dots. ``rows`` are the cells of a
    table, its header first.
    """

    arrays: Mapping[str, Array] = field(default_factory=dict)
    values: Mapping[str, Any] = field(default_factory=dict)
    rows: list[list[str]] | None = None
    lines: list[str] | None = None
    record: Mapping[str, Any] | None = None


@contextmanager
def content_of(path: Path) -> Iterator[Content]:
    """What ``path`` holds; arrays are read while the context lasts.

    Raises:
        InputError: the file is missing, damaged, or not of the kind that its name says.
    """
    with ExitStack() as opened:
        yield _reader(path)(path, opened)


def record_of(path: Path) -> dict[str, Any] | None:
    """How a file says that it was made; None of one that does not, or that cannot be read."""
    if path.suffix not in (".h5", ".json", ".safetensors"):
        return None
    try:
        with content_of(path) as content:
            return None if content.record is None else dict(content.record)
    except InputError:
        return None


def is_record(value: Any) -> bool:
    """Whether ``value`` is built like what :func:`quietpet.provenance.provenance` gives.

    Other programs may keep anything under that name, and a damaged file holds anything.
    """
    if not isinstance(value, Mapping) or not isinstance(value.get("stage", ""), str):
        return False
    parts = [value.get(name) or {} for name in _RECORD_PARTS]
    if not all(isinstance(part, Mapping) for part in parts):
        return False
    seconds = value.get("wall_s", 0.0)
    return isinstance(seconds, int | float) and all(
        isinstance(digest, str) for digest in (value.get("inputs") or {}).values()
    )


def flat(value: Any, key: str = "") -> dict[str, Any]:
    """Values by their keys: ``{"a": {"b": [1, 2]}}`` is ``{"a.b[0]": 1, "a.b[1]": 2}``."""
    found: dict[str, Any] = {}
    waiting = [(key, value)]
    while waiting:  # not by recursion: files of others may be nested more deeply than Python calls
        key, value = waiting.pop()
        if isinstance(value, Mapping) and value:
            inner = [(f"{key}.{name}" if key else str(name), each) for name, each in value.items()]
        elif isinstance(value, list | tuple) and value:
            inner = [(f"{key}[{number}]", each) for number, each in enumerate(value)]
        else:
            found[key] = value
            continue
        waiting += reversed(inner)
    return found


def _reader(path: Path) -> Callable[[Path, ExitStack], Content]:
    suffix = path.suffix.lower()
    if path.name.lower().endswith((".nii", ".nii.gz")):
        return _nifti
    readers = {
        ".h5": _hdf5,
        ".safetensors": _tensors,
        ".json": _json,
        ".png": _pixels,
        ".xlsx": _sheets,
        **dict.fromkeys(_TABLES, _table),
        **dict.fromkeys(_TEXTS, _text),
    }
    return readers.get(suffix, _bytes)


def _hdf5(path: Path, opened: ExitStack) -> Content:
    with damage_explained(path):
        file = opened.enter_context(hdf5_for_reading(path))
        found: dict[str, h5py.Dataset] = {}
        values: dict[str, Any] = {}

        def visit(name: str, each: h5py.Dataset | h5py.Group) -> None:
            if isinstance(each, h5py.Dataset):
                found[name] = each
            values.update(_attributes(each, f"{name}@"))

        file.visititems(visit)
        values |= _attributes(file, "")
    record = _taken_record(values)
    arrays = {
        name: Array(
            shape=each.shape,
            dtype=str(each.dtype),
            blocks=_explained(path, _blocks_of(each), each.nbytes, len(each) if each.shape else 0),
        )
        for name, each in found.items()
    }
    return Content(arrays=arrays, values=flat(values) if values else {}, record=record)


def _taken_record(values: dict[str, Any]) -> dict[str, Any] | None:
    """The record of how a file was made, taken out of its ``values``; what is none stays a value."""
    return values.pop(_PROVENANCE) if is_record(values.get(_PROVENANCE)) else None


def _attributes(of: h5py.Dataset | h5py.Group, prefix: str) -> dict[str, Any]:
    return {f"{prefix}{name}": _plain(value) for name, value in of.attrs.items()}


def _plain(value: Any) -> Any:
    """An attribute as JSON holds it: this program writes JSON, others write numbers and texts."""
    if isinstance(value, str):
        try:
            return json.loads(value)
        except (ValueError, RecursionError):
            return value
    return value.tolist() if isinstance(value, np.ndarray | np.generic) else value


def _blocks_of(array: Any) -> Callable[[slice], np.ndarray]:
    return lambda rows: np.asarray(array[rows] if array.shape else array[()])


def _explained(
    path: Path, read: Callable[[slice], np.ndarray], nbytes: int, rows: int
) -> Callable[[], Iterator[np.ndarray]]:
    step = max(1, rows * _BLOCK_BYTES // max(1, nbytes))

    def blocks() -> Iterator[np.ndarray]:
        for begin in range(0, max(1, rows), step):
            with damage_explained(path):
                block = read(slice(begin, begin + step))
            yield block

    return blocks


def _tensors(path: Path, _: ExitStack) -> Content:
    with reading(path, "damaged or not a file of tensors", SafetensorError, KeyError):
        with safe_open(path, framework="np") as file:
            metadata = {name: _plain(text) for name, text in (file.metadata() or {}).items()}
        arrays = {
            name: _held(_from_bytes(each), dtype=each["dtype"])
            for name, each in deserialize(path.read_bytes())
        }
    metadata.pop(_TENSORS_DIGEST, None)
    if len(metadata) == 1 and isinstance(own := next(iter(metadata.values())), dict):
        metadata = own
    record = _taken_record(metadata)
    return Content(arrays=arrays, values=flat(metadata) if metadata else {}, record=record)


def _from_bytes(tensor: Mapping[str, Any]) -> np.ndarray:
    data, dtype, shape = bytes(tensor["data"]), tensor["dtype"], tensor["shape"]
    if dtype in _NUMPY_TYPES:
        return np.frombuffer(data, _NUMPY_TYPES[dtype]).reshape(shape)
    if dtype == "BF16":  # the upper half of a float32
        return (np.frombuffer(data, "<u2").astype("<u4") << 16).view("<f4").reshape(shape)
    return np.frombuffer(data, "u1")


def _held(values: np.ndarray, *, dtype: str = "") -> Array:
    return Array(shape=values.shape, dtype=dtype or str(values.dtype), blocks=lambda: iter([values]))


def _nifti(path: Path, _: ExitStack) -> Content:
    damage = (nib.filebasedimages.ImageFileError, EOFError, zlib.error, gzip.BadGzipFile)

    def explained() -> AbstractContextManager[None]:
        return reading(path, "damaged or not a NIfTI image", *damage)

    with explained():
        # Kept open: of a gzip file, each frame is read on from the one before.
        image = cast(nib.Nifti1Image, nib.load(path, keep_file_open=True))
        values = {name: _plain(value) for name, value in image.header.items()}
        # numpy holds texts of the header as bytes.
        values = {name: repr(v) if isinstance(v, bytes) else v for name, v in values.items()}

    def blocks() -> Iterator[np.ndarray]:
        last = range(image.shape[-1]) if len(image.shape) > 3 else [slice(None)]
        for each in last:
            with explained():
                frame = np.asarray(image.dataobj[..., each])
            yield frame

    voxels = Array(shape=image.shape, dtype=str(image.get_data_dtype()), blocks=blocks)
    return Content(arrays={"voxels": voxels}, values=flat(values))


def _pixels(path: Path, _: ExitStack) -> Content:
    with reading(path, "damaged or not a PNG image", SyntaxError, EOFError, zlib.error):
        return Content(arrays={"pixels": _held(matplotlib.image.imread(path, format="png"))})


def _json(path: Path, _: ExitStack) -> Content:
    held = read_json(path)
    if isinstance(held, dict) and set(held) >= _STAGE_KEYS and is_record(held):
        return Content(record=held)
    record = _taken_record(held) if isinstance(held, dict) else None
    return Content(values=flat(held), record=record)


def _table(path: Path, _: ExitStack) -> Content:
    with reading(path, "not readable as a table", csv.Error):
        text = io.StringIO(path.read_text(encoding="utf-8-sig"), newline="")
        return Content(rows=list(csv.reader(text, delimiter=_TABLES[path.suffix.lower()])))


def _sheets(path: Path, _: ExitStack) -> Content:
    """Cells of a workbook by sheet and place."""
    damage = (
        zipfile.BadZipFile, zlib.error, ParseError, EOFError, KeyError, TypeError, AttributeError,
        IndexError, NotImplementedError, RuntimeError,
    )  # fmt: skip
    with reading(path, "damaged or not a workbook", *damage):
        book = load_workbook(path, read_only=True)
        values = {
            f"{sheet.title}!{cell.coordinate}": cell.value
            for sheet in book
            for row in sheet.iter_rows()
            for cell in row
            if cell.value is not None
        }
        book.close()
    return Content(values=values)


def _text(path: Path, _: ExitStack) -> Content:
    return Content(lines=read_text(path).splitlines())


def _bytes(path: Path, _: ExitStack) -> Content:
    with reading(path, "not readable"):
        return Content(arrays={"bytes": _held(np.fromfile(path, np.uint8))})
