"""What is written comes back as it was: any arrays, words and attributes."""

from __future__ import annotations

import csv
from io import StringIO
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

from quietpet.files.hdf5 import (
    Parts,
    open_hdf5,
    read_array,
    read_attribute,
    read_rows,
    read_strings,
    write_hdf5,
)
from quietpet.files.text import parse_json, read_json, write_csv, write_json

DTYPES = st.sampled_from([np.float32, np.float64, np.int16, np.int32, np.int64, np.uint8, np.bool_])
SHAPES = npst.array_shapes(min_dims=0, max_dims=4, min_side=0, max_side=4)
CELLS = st.text(st.characters(codec="utf-8", exclude_characters="\r"), max_size=12)
TEXTS = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=12)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)


@st.composite
def finite_arrays(draw, shapes=SHAPES):
    dtype = draw(DTYPES)
    elements = npst.from_dtype(np.dtype(dtype), allow_nan=False, allow_infinity=False)
    return draw(npst.arrays(dtype, draw(shapes), elements=elements))


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    """Written again by every example: a file is replaced whole."""
    return tmp_path_factory.mktemp("store") / "images.h5"


@given(values=finite_arrays(), words=st.lists(TEXTS, min_size=1, max_size=4), note=JSON)
def test_a_store_gives_back_what_it_was_given(path, values, words, note):
    write_hdf5(
        path,
        kind="images",
        arrays={"values": values, "words": np.array(words)},
        attributes={"note": note},
    )
    with open_hdf5(path, kind="images") as file:
        found = read_array(file, "values")
        assert read_strings(file, "words") == words
        assert read_attribute(file, "note") == note
    assert (found.dtype, found.shape) == (values.dtype, values.shape)
    np.testing.assert_array_equal(found, values)


@given(
    values=finite_arrays(st.tuples(*[st.integers(1, 6)] * 3)),
    rows=st.lists(st.integers(0, 5), min_size=1, max_size=8),
    cuts=st.sets(st.integers(0, 6)),
)
def test_an_array_in_any_parts_and_any_of_its_rows(path, values, rows, cuts):
    """Rows in any order, also twice."""
    n_rows = len(values)
    edges = sorted({0, n_rows, *(cut for cut in cuts if cut < n_rows)})
    parts = (values[first:end] for first, end in pairwise(edges))
    wanted = [row % n_rows for row in rows]
    array = Parts(shape=values.shape, dtype=values.dtype, parts=parts)
    write_hdf5(path, kind="images", arrays={"image": array}, attributes={})
    with open_hdf5(path, kind="images") as file:
        np.testing.assert_array_equal(read_array(file, "image"), values)
        np.testing.assert_array_equal(read_rows(file, "image", wanted), values[wanted])


@given(value=JSON)
def test_json_comes_back(path, value):
    target = path.with_name("value.json")
    write_json(target, value)
    assert read_json(target) == value
    assert parse_json(target.read_text()) == value


@given(rows=st.lists(st.fixed_dictionaries({"a": CELLS, "b, c": CELLS}), max_size=4))
def test_tables_come_back(path, rows):
    """Commas, quotes and line ends in cells included."""
    target = path.with_name("table.csv")
    write_csv(target, ("a", "b, c"), rows)
    with target.open(newline="") as stream:
        found = list(csv.DictReader(StringIO(stream.read(), newline="")))
    assert found == rows
