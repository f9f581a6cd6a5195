"""Files are whole or absent, and whatever is not whole is refused in one sentence."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
from pathlib import Path

import h5py
import numpy as np
import pytest

from quietpet import store
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
    require_writable,
    write_csv,
    write_hdf5,
    write_text,
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


def test_a_locked_file_is_waited_for_and_its_holder_named(written, monkeypatch, caplog):
    caplog.set_level("INFO")
    code = "import h5py, sys; file = h5py.File(sys.argv[1], 'r+'); print(flush=True); sys.stdin.read()"
    with subprocess.Popen(
        [sys.executable, "-c", code, str(written)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as holder:
        holder.stdout.readline()
        monkeypatch.setattr(store, "LOCK_WAIT_S", 0.0)
        with pytest.raises(InputError, match=rf"locked by .*process {holder.pid} ") as caught:
            open_hdf5(written, kind="images").__enter__()
        assert "elete" not in str(caught.value)
        monkeypatch.setattr(store, "LOCK_WAIT_S", 60.0)
        monkeypatch.setattr(store.time, "sleep", lambda _: holder.communicate())  # meanwhile it ends
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


def test_folders_and_links_that_cannot_be_read(tmp_path):
    (tmp_path / "loop").symlink_to("loop")
    for name, reason in ((".", "Is a directory"), ("loop", "symbolic links"), ("none", "no such file")):
        for read in (read_json, lambda path: open_hdf5(path, kind="images").__enter__()):
            with pytest.raises(InputError, match=reason):
                read(tmp_path / name)


def test_a_full_disk_is_one_sentence_and_no_crash(tmp_path):
    """The limit of a file's size stands for the disk: HDF5 used to end in a segmentation fault."""
    code = (
        "import resource, sys, numpy as np; from pathlib import Path\n"
        "from quietpet.errors import OutputError; from quietpet.store import write_hdf5, write_text\n"
        "limit, folder = int(sys.argv[1]), Path(sys.argv[2])\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))\n"
        "images = np.random.default_rng(0).random((40, 32, 32))\n"
        "for write in (\n"
        "    lambda path: write_hdf5(path, kind='x', arrays={'a': images}, attributes={}),\n"
        "    lambda path: write_text(path, 'd' * 400_000),\n"
        "):\n"
        "    try: write(folder / 'out')\n"
        "    except OutputError as error: print(error)\n"
    )
    for limit in (1, 1000, 100_000, 300_000):
        done = subprocess.run(
            [sys.executable, "-c", code, str(limit), str(tmp_path)],
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert (done.returncode, done.stderr) == (0, "")
        line = f"{tmp_path}/out: cannot be written (File too large). Make room there, or name a place on"
        assert done.stdout.count(line) == 2
        assert list(tmp_path.iterdir()) == []


def test_a_signal_while_hdf5_writes_is_not_lost(tmp_path):
    code = (
        "import signal, sys, numpy as np; from pathlib import Path; from quietpet import store\n"
        "class Told(store._Shielded):\n"
        "    def _write_all(self, buffer):\n"
        "        signal.raise_signal(signal.SIGINT)\n"
        "store._Shielded = Told\n"
        "try: store.write_hdf5(Path(sys.argv[1]), kind='x', arrays={'a': np.ones(9)}, attributes={})\n"
        "except KeyboardInterrupt: print('interrupted')\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path / "out.h5")],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stdout, done.stderr) == (0, "interrupted\n", "")
    assert list(tmp_path.iterdir()) == []


def test_links_are_written_through(tmp_path):
    place = tmp_path / "elsewhere" / "real.csv"
    place.parent.mkdir()
    for content in ("first", "second"):  # a link to nothing yet, then to a file
        link = tmp_path / "out.csv"
        link.unlink(missing_ok=True)
        link.symlink_to(place)
        write_text(link, content)
        assert link.is_symlink()
        assert place.read_text() == content
    assert list(place.parent.iterdir()) == [place]
    lost = tmp_path / "lost.csv"
    lost.symlink_to(tmp_path / "unmounted" / "real.csv")
    with pytest.raises(InputError, match=r"lost\.csv: is a link to .*whose folder does not exist"):
        write_text(lost, "third")


def test_devices_and_pipes_are_written_into(tmp_path):
    with pytest.raises(InputError, match=r"/dev/full: cannot be written \(No space left on device\)"):
        write_text(Path("/dev/full"), "report")
    write_text(Path("/dev/null"), "report")
    assert all(Path(device).is_char_device() for device in ("/dev/full", "/dev/null"))
    code = "from pathlib import Path; from quietpet.store import write_text\n"
    code += "print('before', flush=True); write_text(Path('/dev/stdout'), 'report')"
    command = [sys.executable, "-c", code]
    assert subprocess.run(command, capture_output=True, check=True).stdout == b"before\nreport"
    with (tmp_path / "out").open("wb") as stream:
        subprocess.run(command, stdout=stream, check=True)
    assert (tmp_path / "out").read_text() == "before\nreport"


def test_what_cannot_become_a_file_is_found_before_the_work(tmp_path):
    (tmp_path / "file").touch()
    for target, reason in (
        (tmp_path, "is a folder; name a file"),
        (tmp_path / "file" / "out", r"cannot be written \((File exists|Not a directory)\)"),
        (tmp_path / ("n" * 300), r"cannot be written \(File name too long\)"),
        (Path("/proc/none"), "cannot be written"),
    ):
        with pytest.raises(InputError, match=reason):
            write_text(target, "")
        if target.name != "none":
            with pytest.raises(InputError, match=reason):
                require_writable(target)
    require_writable(tmp_path / "new" / "out")
    assert list((tmp_path / "new").iterdir()) == []
