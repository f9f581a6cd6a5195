"""Digests of files: read once in a process, and never those of an earlier content."""

from __future__ import annotations

import hashlib
import os
from collections import Counter

import pytest

from quietpet import provenance
from quietpet.errors import InputError
from quietpet.provenance import file_digest


@pytest.fixture
def read(monkeypatch):
    """How often the content of each file is read."""
    found, digest = Counter(), provenance._content_digest
    monkeypatch.setattr(
        provenance, "_content_digest", lambda path: (found.update([path]), digest(path))[1]
    )
    return found


@pytest.fixture
def settled(monkeypatch):
    """All files seem to be older than the clock of their file system is coarse."""
    monkeypatch.setattr(provenance, "_SETTLED_NS", -(10**18))


@pytest.mark.usefixtures("settled")
def test_a_file_that_nobody_writes_to_is_read_once(tmp_path, monkeypatch, read):
    monkeypatch.chdir(tmp_path)
    file = tmp_path / "x"
    file.write_bytes(b"one")
    expected = hashlib.sha256(b"one").hexdigest()
    assert [file_digest(file), file_digest(file.relative_to(tmp_path))] == [expected] * 2
    assert read.total() == 1


@pytest.mark.usefixtures("settled")
def test_another_content_of_the_same_size_and_time_is_noticed(tmp_path):
    file = tmp_path / "x"
    file.write_bytes(b"one")
    os.utime(file, (1, 1))
    before = file_digest(file)
    other = tmp_path / "other"
    other.write_bytes(b"two")
    os.utime(other, (1, 1))
    other.replace(file)
    assert file_digest(file) != before


def test_what_was_written_just_now_is_read_each_time(tmp_path, read):
    """A clock that is coarse may give the next content the same time."""
    file = tmp_path / "x"
    file.write_bytes(b"one")
    os.utime(file, (1, 1))
    assert file_digest(file) == file_digest(file)
    assert read[file] == 2


def test_a_file_that_has_gone_is_named(tmp_path):
    """As an input whose disk went after the job had begun."""
    with pytest.raises(InputError, match=r"gone\.h5: no such file; run the step that makes it first"):
        file_digest(tmp_path / "gone.h5")
