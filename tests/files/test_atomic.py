"""Files are whole or absent, wherever they go, and what stands in the way is said in one sentence."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from quietpet.errors import InputError
from quietpet.files.atomic import atomic_path, require_writable
from quietpet.files.hdf5 import (
    open_hdf5,
)
from quietpet.files.text import read_json, write_text


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
        "import pathlib, signal, sys; from quietpet.files.atomic import atomic_path\n"
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
        "from quietpet.errors import OutputError; from quietpet.files.hdf5 import write_hdf5\n"
        "from quietpet.files.text import write_text\n"
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
    for limit in (1, 1000, 100_000, 200_000):
        done = subprocess.run(
            [sys.executable, "-c", code, str(limit), str(tmp_path)],
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert (done.returncode, done.stderr) == (0, "")
        line = f"{tmp_path}/out: cannot be written (File too large). Make room there, or name a place on"
        assert done.stdout.count(line) == 2
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
    code = "from pathlib import Path; from quietpet.files.text import write_text\n"
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
