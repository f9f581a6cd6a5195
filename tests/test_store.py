"""Files are whole or absent, and whatever is not whole is refused in one sentence."""

from __future__ import annotations

import signal
import subprocess
import sys

import h5py
import numpy as np
import pytest

from quietpet.errors import InputError
from quietpet.store import (
    Parts,
    atomic_path,
    open_hdf5,
    read_array,
    read_attribute,
    read_json,
    read_rows,
    read_strings,
    write_csv,
    write_hdf5,
)


@pytest.fixture
def written(tmp_path):
    path = tmp_path / "images.h5"
    arrays = {
        "image": np.arange(5 * 64 * 64.0).reshape(5, 64, 64),
        "key": np.array(["a", "bc", "d", "e", "f"]),
    }
    write_hdf5(path, kind="images", arrays=arrays, attributes={"subject": "04"})
    return path


def test_round_trip(written):
    with open_hdf5(written, kind="images") as file:
        assert read_array(file, "image")[4, 63, 63] == 5 * 64 * 64 - 1
        assert read_strings(file, "key") == ["a", "bc", "d", "e", "f"]
        assert read_attribute(file, "subject") == "04"


def test_rows_come_in_the_order_asked_for(written):
    with open_hdf5(written, kind="images") as file:
        rows = read_rows(file, "image", [3, 0])
        np.testing.assert_array_equal(rows, read_array(file, "image")[[3, 0]])
        with pytest.raises(InputError, match="lacks the array 'truth'"):
            read_rows(file, "truth", [0])


def test_an_array_in_parts_is_the_array(tmp_path):
    image = np.random.default_rng(0).random((7, 4, 6), dtype=np.float32)
    parts = (image[start : start + 3] for start in range(0, 7, 3))
    array = Parts(shape=image.shape, dtype=image.dtype, parts=parts)
    write_hdf5(tmp_path / "images.h5", kind="images", arrays={"image": array}, attributes={})
    with open_hdf5(tmp_path / "images.h5", kind="images") as file:
        found = read_array(file, "image")
    assert found.dtype == image.dtype
    np.testing.assert_array_equal(found, image)


def test_parts_that_do_not_fill_the_array_are_refused(written):
    before = written.read_bytes()
    array = Parts(shape=(5, 64, 64), dtype=np.dtype(np.uint8), parts=[np.zeros((4, 64, 64), np.uint8)])
    with pytest.raises(ValueError, match="parts of 4 rows for an array of 5"):
        write_hdf5(written, kind="images", arrays={"image": array}, attributes={})
    assert written.read_bytes() == before


def test_a_failing_writer_leaves_nothing_behind(tmp_path):
    def write_and_fail():
        with atomic_path(tmp_path / "out.csv") as partial:
            partial.write_text("half")
            raise RuntimeError("killed")

    with pytest.raises(RuntimeError, match="killed"):
        write_and_fail()
    assert list(tmp_path.iterdir()) == []


def test_what_a_killed_writer_left_goes_with_the_next_write(tmp_path):
    target = tmp_path / "out.csv"
    code = (
        "import pathlib, signal, sys; from quietpet.store import atomic_path\n"
        "with atomic_path(pathlib.Path(sys.argv[1])): signal.raise_signal(signal.SIGKILL)"
    )
    killed = subprocess.run([sys.executable, "-c", code, str(target)], check=False)
    assert killed.returncode == -signal.SIGKILL
    assert len(list(tmp_path.iterdir())) == 1
    with atomic_path(target) as slow:
        with atomic_path(target) as partial:
            partial.write_text("whole")
        assert slow.exists()  # its writer lives
    assert list(tmp_path.iterdir()) == [target]


def test_a_failing_writer_keeps_the_previous_file(written):
    before = written.read_bytes()
    with pytest.raises(TypeError):
        write_hdf5(written, kind="images", arrays={}, attributes={"x": object()})
    assert written.read_bytes() == before
    assert len(list(written.parent.iterdir())) == 1


@pytest.mark.parametrize("kept", [0, 100, 0.5, 0.98])
def test_truncated_file_is_refused(written, kept):
    whole = written.read_bytes()
    written.write_bytes(whole[: int(kept if kept >= 1 else kept * len(whole))])
    with (
        pytest.raises(InputError, match=r"images\.h5.*Delete it and run the step again"),
        open_hdf5(written, kind="images") as file,
    ):
        read_array(file, "image")


def test_damaged_chunk_is_refused(written):
    """Bytes overwritten in the middle: the header is fine, a compressed chunk is not."""
    content = bytearray(written.read_bytes())
    middle = len(content) // 2
    content[middle : middle + 4000] = b"\xff" * 4000
    written.write_bytes(content)
    with pytest.raises(InputError, match=r"images\.h5"), open_hdf5(written, kind="images") as file:
        read_array(file, "image")


def test_a_single_changed_byte_is_noticed(written):
    """Every byte of the stored images is under a checksum: none may change unseen."""
    whole = written.read_bytes()
    with open_hdf5(written, kind="images") as file:
        first = file["image"].id.get_chunk_info(2)
    for offset in (0, first.size // 2, first.size - 5):
        content = bytearray(whole)
        content[first.byte_offset + offset] ^= 0x10
        written.write_bytes(content)
        with pytest.raises(InputError, match=r"images\.h5"), open_hdf5(written, kind="images") as file:
            read_array(file, "image")


def test_unfinished_file_is_refused(tmp_path):
    path = tmp_path / "half.h5"
    with h5py.File(path, "w") as file:
        file["image"] = np.zeros(3)
    with pytest.raises(InputError, match="never completed"), open_hdf5(path, kind="images"):
        pass


def test_wrong_kind_and_missing_parts_are_named(written):
    with (
        pytest.raises(InputError, match="holds 'images', but 'slices'"),
        open_hdf5(written, kind="slices"),
    ):
        pass
    with open_hdf5(written, kind="images") as file:
        with pytest.raises(InputError, match="lacks the array 'truth'"):
            read_array(file, "truth")
        with pytest.raises(InputError, match="lacks the attribute 'dose'"):
            read_attribute(file, "dose")


def test_nan_is_named_with_its_place(tmp_path):
    path = tmp_path / "images.h5"
    image = np.zeros((2, 4, 4))
    image[1, 2, 3] = np.nan
    write_hdf5(path, kind="images", arrays={"image": image}, attributes={})
    with (
        open_hdf5(path, kind="images") as file,
        pytest.raises(InputError, match=r"1 of 32 values are not finite, the first at \(1, 2, 3\)"),
    ):
        read_array(file, "image")


def test_missing_and_broken_json(tmp_path):
    with pytest.raises(InputError, match="no such file"):
        read_json(tmp_path / "none.json")
    (tmp_path / "broken.json").write_text('{"a":')
    with pytest.raises(InputError, match="not readable as JSON"):
        read_json(tmp_path / "broken.json")


@pytest.mark.parametrize("text", ['{"a": 1, "a": 1}', '{"b": [{"a": 1, "a": 2}]}'])
def test_a_key_of_json_that_stands_twice(tmp_path, text):
    (tmp_path / "twice.json").write_text(text)
    with pytest.raises(
        InputError, match=r"twice\.json: the key 'a' stands twice, as 1 and as [12]; keep"
    ):
        read_json(tmp_path / "twice.json")


def test_csv_rows_must_have_exactly_the_columns(tmp_path):
    with pytest.raises(KeyError, match="lacks the columns"):
        write_csv(tmp_path / "a.csv", ["x", "y"], [{"x": 1}])
    with pytest.raises(ValueError, match="not in fieldnames"):
        write_csv(tmp_path / "a.csv", ["x"], [{"x": 1, "z": 2}])
    assert list(tmp_path.iterdir()) == []
