"""Fingerprints are found once for the same sources, and anew after every edit."""

from __future__ import annotations

import json
import os

import pytest

from quietpet.fingerprint.kept import kept
from quietpet.fingerprint.sources import Sources


@pytest.fixture
def package(tmp_path):
    folder = tmp_path / "quietpet"
    (folder / "room").mkdir(parents=True)
    (folder / "a.py").write_text("A = 1\n")
    (folder / "room/table.csv").write_text("1,2\n")
    return folder


@pytest.fixture
def asked(package):
    """Asks for a fingerprint; tells what came, and whether it was found anew."""
    count = iter(range(100))

    def ask(*roots):
        found = []
        answer = kept(package, roots, lambda: found.append(f"f{next(count)}") or found[0])
        return answer, bool(found)

    return ask


def test_a_fingerprint_is_found_once(asked):
    assert [asked("a"), asked("a"), asked("a", "b"), asked("a"), asked("a", "b")] == [
        ("f0", True), ("f0", False), ("f1", True), ("f0", False), ("f1", False),
    ]  # fmt: skip


@pytest.mark.parametrize(
    "edit",
    [
        lambda folder: (folder / "a.py").write_text("A = 2\n"),
        lambda folder: (folder / "room/table.csv").write_text("1,3\n"),
        lambda folder: (folder / "b.py").write_text(""),
        lambda folder: (folder / "a.py").rename(folder / "c.py"),
        lambda folder: (folder / "room/table.csv").unlink(),
    ],
)
def test_after_an_edit_it_is_found_anew(package, asked, edit):
    """Of a source or a table; also of the same length, and with the time of the file put back."""
    asked("a")
    times = package.joinpath("a.py").stat()
    edit(package)
    for path in package.glob("*.py"):
        os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))
    assert asked("a") == ("f1", True)


def test_another_python_finds_its_own(asked, monkeypatch):
    asked("a")
    monkeypatch.setattr("sys.version", "4.0")
    assert asked("a") == ("f1", True)


@pytest.mark.parametrize("content", ["", "{", "[]", '{"sources": 1}', '{"sources": null, "found": 3}'])
def test_a_damaged_file_is_no_file(package, asked, content):
    asked("a")
    (package / "__pycache__/fingerprints.json").write_text(content)
    assert asked("a") == ("f1", True)
    assert asked("a") == ("f1", False)


def test_where_nothing_can_be_written_it_is_found_each_time(package, asked):
    (package / "__pycache__").write_text("in the way")
    assert [asked("a"), asked("a")] == [("f0", True), ("f1", True)]


def test_what_is_kept_is_no_table_of_the_package(package, asked):
    asked("a")
    assert json.loads((package / "__pycache__/fingerprints.json").read_text())["found"] == {"a": "f0"}
    assert set(Sources(package).tables) == {"table.csv"}
