"""HDF5 files that are not whole, or cannot be opened, are refused in one sentence."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
from pathlib import Path

import h5py
import numpy as np
import pytest

from quietpet.errors import InputError
from quietpet.files import hdf5
from quietpet.files.hdf5 import (
    Parts,
    open_hdf5,
    read_array,
    read_attribute,
    read_rows,
    read_strings,
    recorded_provenance,
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


def test_images_are_stored_by_filters_that_every_library_has(written):
    """Those of the HDF5 library itself; lzf, say, is of h5py alone."""
    with h5py.File(written) as file:
        (image,) = [each for each in file.values() if each.ndim == 3]
        assert (image.compression, image.shuffle, image.fletcher32) == ("gzip", True, True)
        assert image.chunks == (1, *image.shape[1:])


def test_parts_that_do_not_fill_the_array_are_refused(written):
    before = written.read_bytes()
    array = Parts(shape=(5, 64, 64), dtype=np.dtype(np.uint8), parts=[np.zeros((4, 64, 64), np.uint8)])
    with pytest.raises(ValueError, match="parts of 4 rows for an array of 5"):
        write_hdf5(written, kind="images", arrays={"image": array}, attributes={})
    assert written.read_bytes() == before


def test_a_failing_writer_keeps_the_previous_file(written):
    before = written.read_bytes()
    with pytest.raises(TypeError):
        write_hdf5(written, kind="images", arrays={}, attributes={"x": object()})
    assert written.read_bytes() == before
    assert len(list(written.parent.iterdir())) == 1


@pytest.mark.parametrize("kept", [0, 100, 0.5, 0.98])
@pytest.mark.parametrize(
    ("folder", "advice"),
    [("results", "Delete it and run the step again"), ("mine", "Put a whole one")],
)
def test_truncated_file_is_refused(written, kept, folder, advice, monkeypatch):
    """To delete it is advice for what the program made, in its own folder, alone."""
    monkeypatch.chdir(written.parent)
    whole = written.read_bytes()
    path = Path(folder) / "images.h5"
    path.parent.mkdir()
    path.write_bytes(whole[: int(kept if kept >= 1 else kept * len(whole))])
    with (
        pytest.raises(InputError, match=rf"^{folder}/images\.h5: damaged or not .*{advice}") as caught,
        open_hdf5(path, kind="images") as file,
    ):
        read_array(file, "image")
    assert ("elete" in str(caught.value)) == (folder == "results")


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


def test_damage_is_refused_or_does_no_harm(written):
    """16 bytes overwritten at every 48th place: headers, names, attributes, chunks, unused space.

    HDF5 has no checksum of most headers; at a few other places a change of these passes unseen.
    """
    whole, values = written.read_bytes(), np.arange(5 * 64 * 64.0).reshape(5, 64, 64)
    refusals = []
    for offset in range(0, len(whole), 48):
        written.write_bytes(whole[:offset] + b"\xa5" * 16 + whole[offset + 16 :])
        try:
            with open_hdf5(written, kind="images") as file:
                assert "truth" not in file
                np.testing.assert_array_equal(read_array(file, "image"), values)
                assert read_strings(file, "key") == ["a", "bc", "d", "e", "f"]
                assert read_attribute(file, "subject") == "04"
        except InputError as error:
            refusals.append(str(error))
    assert len(refusals) > 20
    assert all("images.h5" in each for each in refusals)


@pytest.mark.parametrize("error", [RuntimeError, ValueError, KeyError, OSError])
def test_what_a_step_raises_is_not_blamed_on_its_file(written, error):
    """Such as CUDA running out of memory."""
    with pytest.raises(error, match="out of memory") as caught, open_hdf5(written, kind="images"):
        raise error("out of memory")
    assert not isinstance(caught.value, InputError)


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


def test_a_locked_file_is_waited_for_and_its_holder_named(written, monkeypatch, caplog):
    caplog.set_level("INFO")
    code = "import h5py, sys; file = h5py.File(sys.argv[1], 'r+'); print(flush=True); sys.stdin.read()"
    with subprocess.Popen(
        [sys.executable, "-c", code, str(written)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as holder:
        holder.stdout.readline()
        monkeypatch.setattr(hdf5, "LOCK_WAIT_S", 0.0)
        with pytest.raises(InputError, match=rf"locked by .*process {holder.pid} ") as caught:
            open_hdf5(written, kind="images").__enter__()
        assert "elete" not in str(caught.value)
        monkeypatch.setattr(hdf5, "LOCK_WAIT_S", 60.0)
        monkeypatch.setattr(hdf5.time, "sleep", lambda _: holder.communicate())  # meanwhile it ends
        with open_hdf5(written, kind="images") as file:
            assert read_attribute(file, "subject") == "04"
    assert "is locked by " in caplog.text


@pytest.mark.parametrize("number", [errno.ENOLCK, errno.EOPNOTSUPP])
def test_a_file_system_without_locks_is_read(written, monkeypatch, number):
    real = h5py.File

    def without_locks(path, mode, *, locking):
        if locking:
            raise OSError(number, f"[Errno {number}] unable to lock file")
        return real(path, mode, locking=locking)

    monkeypatch.setattr(h5py, "File", without_locks)
    with open_hdf5(written, kind="images") as file:
        assert read_attribute(file, "subject") == "04"


@pytest.mark.parametrize("number", [errno.EACCES, errno.EIO, errno.ESTALE, errno.EMFILE])
def test_a_file_that_cannot_be_opened_is_not_called_damaged(written, monkeypatch, number):
    def refused(*_, **__):
        raise OSError(number, f"[Errno {number}] Unable to synchronously open file")

    monkeypatch.setattr(h5py, "File", refused)
    with pytest.raises(
        InputError, match=rf"images\.h5: cannot be read \({os.strerror(number)}\)"
    ) as caught:
        open_hdf5(written, kind="images").__enter__()
    assert "damaged" not in str(caught.value)
    assert "elete" not in str(caught.value)


def test_a_signal_while_hdf5_writes_is_not_lost(tmp_path):
    code = (
        "import signal, sys, numpy as np; from pathlib import Path; from quietpet.files import hdf5\n"
        "class Told(hdf5._Shielded):\n"
        "    def _write_all(self, buffer):\n"
        "        signal.raise_signal(signal.SIGINT)\n"
        "hdf5._Shielded = Told\n"
        "try: hdf5.write_hdf5(Path(sys.argv[1]), kind='x', arrays={'a': np.ones(9)}, attributes={})\n"
        "except KeyboardInterrupt: print('interrupted')\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path / "out.h5")],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stdout, done.stderr) == (0, "interrupted\n", "")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("record", ["made by me", "1", "[1]", 1, "[" * 100_000])
def test_a_record_of_another_program_is_none(written, record):
    """A step whose file says no more is run again."""
    with h5py.File(written, "r+") as file:
        file.attrs["provenance"] = record
    assert recorded_provenance(written) is None
