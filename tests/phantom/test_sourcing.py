from __future__ import annotations

import gzip
import hashlib
import logging
from pathlib import Path

import pytest

from quietpet.errors import InputError
from quietpet.phantom import sourcing
from quietpet.phantom.brainweb import DownloadError, Source, file_name, subjects
from quietpet.phantom.sourcing import decide


def _content(subject: str) -> bytes:
    return subject.encode() * 1000


SOURCES = {
    subject: Source(
        url="http://localhost/", sha256=hashlib.sha256(_content(subject)).hexdigest(), bytes=2000
    )
    for subject in subjects()
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for subject in ("04", "05"):
        (tmp_path / file_name(subject)).write_bytes(gzip.compress(_content(subject)))
    return tmp_path


@pytest.fixture
def offline(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """No network; the targets that were tried."""
    tried: list[str] = []

    def fail(source: Source, target: Path) -> None:
        tried.append(target.name)
        raise DownloadError("no route to host")

    monkeypatch.setattr(sourcing, "download", fail)
    return tried


@pytest.mark.parametrize("requested", ["auto", "brainweb"])
def test_cached_subjects_are_taken_without_network(folder: Path, offline, requested: str) -> None:
    decision = decide(requested, subjects=("05", "04"), folder=folder, sources=SOURCES)
    assert decision.source == "brainweb"
    assert decision.volumes == {s: folder / f"subject_{s}.bin.gz" for s in ("05", "04")}
    assert offline == []


def test_a_read_only_folder_will_do(folder: Path, offline) -> None:
    folder.chmod(0o555)
    assert decide("auto", subjects=("04",), folder=folder, sources=SOURCES).source == "brainweb"
    folder.chmod(0o755)


def test_auto_falls_back_with_one_loud_line(folder: Path, offline, caplog) -> None:
    with caplog.at_level(logging.WARNING):
        decision = decide("auto", subjects=("04", "06", "18"), folder=folder, sources=SOURCES)
    assert (decision.source, decision.volumes) == ("template", {})
    assert "no route to host" in decision.reason
    (record,) = caplog.records
    message = record.getMessage()
    assert "\n" not in message
    for part in ("PHANTOMS ARE NOT BRAINWEB", "06, 18", "QUIETPET_BRAINWEB", "phantoms.cache_dir"):
        assert part in message
    assert offline == ["subject_06.bin.gz"], "the first failure must end the attempts"


def test_brainweb_never_falls_back(folder: Path, offline) -> None:
    with pytest.raises(InputError) as caught:
        decide("brainweb", subjects=("04", "06", "18"), folder=folder, sources=SOURCES)
    for part in ("06, 18", "QUIETPET_BRAINWEB", "phantoms.cache_dir", "phantoms.source: template"):
        assert part in str(caught.value)


def test_the_template_asks_nobody(folder: Path, offline, caplog) -> None:
    decision = decide("template", subjects=("any", "name"), folder=folder, sources=SOURCES)
    assert decision.source == "template"
    assert not caplog.records
    assert offline == []


def test_missing_subjects_are_fetched(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fetched: list[str] = []
    monkeypatch.setattr(sourcing, "download", lambda source, target: fetched.append(target.name))
    decision = decide("auto", subjects=("04", "06"), folder=folder, sources=SOURCES)
    assert decision.source == "brainweb"
    assert fetched == ["subject_06.bin.gz"]


@pytest.mark.parametrize("requested", ["auto", "brainweb"])
def test_a_damaged_cached_file_is_an_error_and_no_reason_to_fall_back(
    folder: Path, offline, requested: str
) -> None:
    (folder / file_name("05")).write_bytes(gzip.compress(_content("05"))[:-5])
    with pytest.raises(InputError, match=r"subject_05.bin.gz: not a gzip file .*Put a whole one"):
        decide(requested, subjects=("04", "05"), folder=folder, sources=SOURCES)


def test_subjects_that_brainweb_does_not_have(folder: Path, offline, caplog) -> None:
    with pytest.raises(InputError, match="99: no such BrainWeb subjects"):
        decide("brainweb", subjects=("04", "99"), folder=folder, sources=SOURCES)
    assert decide("auto", subjects=("99",), folder=folder, sources=SOURCES).source == "template"
    assert "99: no such BrainWeb subjects" in caplog.text
