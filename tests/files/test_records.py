"""Files as records: what is written is read back, whole, in part or by rows."""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from typing import ClassVar

import h5py
import numpy as np
import pytest

from quietpet.errors import InputError
from quietpet.files import images, packed, phantoms, restored, sinograms
from quietpet.files.records import (
    ARRAY,
    MATRIX,
    NONNEGATIVE,
    TEXTS,
    VALUES,
    Record,
    read_record,
    write_record,
)


@dataclass(frozen=True, kw_only=True, eq=False)
class Known(Record):
    KIND: ClassVar[str] = "toy"

    name: str
    key: list[str] = field(metadata=TEXTS)


@dataclass(frozen=True, kw_only=True, eq=False)
class Toy(Known):
    AXES: ClassVar[str] = "(slice, y, x)"

    units: dict[str, str]
    affine: np.ndarray = field(metadata=MATRIX)
    image: np.ndarray = field(metadata=ARRAY)
    counts: np.ndarray = field(metadata=NONNEGATIVE)
    maybe: np.ndarray = field(metadata=VALUES)
    truth: np.ndarray | None = field(default=None, metadata=ARRAY)
    remark: str | None = None


def toy(**changed):
    image = np.arange(24, dtype=np.float32).reshape(3, 2, 4)
    held = {
        "name": "a",
        "key": ["x/0", "x/1", "x/2"],
        "units": {"image": "kBq/ml"},
        "affine": np.diag([2.0, -1.5, 1.0, 1.0]),
        "image": image,
        "counts": image.astype(np.int32),
        "maybe": image * np.nan,
    }
    return Toy(**{**held, **changed})


def written(folder, **changed):
    path = folder / "toy.h5"
    write_record(path, toy(**changed), provenance={"stage": "toy"})
    return path


@pytest.mark.parametrize("changed", [{}, {"truth": np.ones((3, 2, 4)), "remark": "with truth"}])
def test_a_record_comes_back(tmp_path, changed):
    path, held = written(tmp_path, **changed), toy(**changed)
    found = read_record(path, Toy)
    assert found.origin == path
    for each in fields(Toy):
        if each.name != "origin":
            np.testing.assert_equal(getattr(found, each.name), getattr(held, each.name))
    assert found.image.dtype == np.float32
    assert found.counts.dtype == np.int32


def test_names_inside_the_file_are_those_of_the_fields(tmp_path):
    with h5py.File(written(tmp_path)) as file:
        assert set(file) == {"key", "image", "counts", "maybe"}
        attributes = {"name", "units", "affine", "axes", "provenance", "kind", "complete"}
        assert set(file.attrs) == attributes


def test_a_view_reads_a_part(tmp_path):
    path = written(tmp_path)
    with h5py.File(path, "r+") as file:
        file["image"][1] = np.inf  # which the view does not read
    assert read_record(path, Known).key == ["x/0", "x/1", "x/2"]
    with pytest.raises(InputError, match=r"toy\.h5:image: 8 of 24 values are not finite"):
        read_record(path, Toy)


def test_rows_come_in_the_order_asked(tmp_path):
    held = toy(maybe=np.zeros((3, 2, 4)))
    path = written(tmp_path, maybe=held.maybe)
    images = read_record(path, Images, rows=[2, 0])
    np.testing.assert_array_equal(images.image, held.image[[2, 0]])


@dataclass(frozen=True, kw_only=True, eq=False)
class Images(Record):
    KIND: ClassVar[str] = "toy"

    image: np.ndarray = field(metadata=ARRAY)


@pytest.mark.parametrize(("lost", "message"), [
    ("image", "lacks the array 'image'"), ("name", "lacks the attribute 'name'"),
])  # fmt: skip
def test_what_is_missing_is_named(tmp_path, lost, message):
    path = written(tmp_path)
    with h5py.File(path, "r+") as file:
        del (file if lost in file else file.attrs)[lost]
    with pytest.raises(InputError, match=rf"toy\.h5: {message}"):
        read_record(path, Toy)


def test_negative_counts_and_other_kinds_are_refused(tmp_path):
    with pytest.raises(InputError, match=r"toy\.h5:counts: 1 of 24 values are negative"):
        read_record(written(tmp_path, counts=np.arange(-1, 23).reshape(3, 2, 4)), Toy)
    with pytest.raises(InputError, match="holds 'toy', but 'phantom' is needed"):
        read_record(written(tmp_path), phantoms.Phantom)


def test_every_kind_of_file_has_one_whole_record():
    """Views have some fields of the record that is written, and those are marked alike."""
    kinds = {}
    for room in (images, packed, phantoms, restored, sinograms):
        for each in vars(room).values():
            if isinstance(each, type) and issubclass(each, Record) and each is not Record:
                kinds.setdefault(each.KIND, []).append(each)
    for classes in kinds.values():
        whole = max(classes, key=lambda each: len(fields(each)))
        marks = {each.name: (each.default, dict(each.metadata)) for each in fields(whole)}
        for view in classes:
            assert {each.name: (each.default, dict(each.metadata)) for each in fields(view)}.items() <= (
                marks.items()
            )
