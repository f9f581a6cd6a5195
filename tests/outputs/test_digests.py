"""A result that was changed since it was made is told, whatever its format."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from quietpet.errors import InputError, OutputError
from quietpet.outputs.digests import (
    FOLDER,
    forget_digests,
    is_as_made,
    keep_digests,
    read_by_people,
    require_as_made,
    require_room_for_digests,
    without_digest,
)


@pytest.fixture
def scores(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    path = Path("results/scores/low/lpet/r0.csv")
    path.parent.mkdir(parents=True)
    path.write_text("psnr_db,23.5\n")
    keep_digests([path])
    return path


def test_one_digit_is_noticed_and_the_file_named(scores):
    require_as_made([scores])
    scores.write_text("psnr_db,23.6\n")
    with pytest.raises(
        InputError,
        match=r"^results/scores/low/lpet/r0\.csv: was changed .* that in results/\.sha256/scores/low/"
        r"lpet/r0\.csv\)\. Put it back as it was, or move it away, and run the same command again\.$",
    ):
        require_as_made([scores])
    scores.write_text("psnr_db,23.5\n")
    require_as_made([scores])


def test_the_path_may_be_absolute(scores):
    scores.write_text("")
    assert not is_as_made(scores.absolute())


def test_a_file_that_was_moved_with_its_digest_is_another(scores):
    other = Path("results/scores/low/unet/r0.csv")
    shutil.copytree(scores.parent, other.parent)
    assert is_as_made(other), "nobody said yet what it should be"
    shutil.copytree(Path(FOLDER, "scores/low/lpet"), Path(FOLDER, "scores/low/unet"))
    assert not is_as_made(other)


def test_results_may_lie_elsewhere_and_a_study_may_move(scores, tmp_path, monkeypatch):
    """A link to another disk; then the whole study in another folder."""
    shutil.move("results", tmp_path / "disk")
    Path("results").symlink_to(tmp_path / "disk")
    assert is_as_made(scores)
    scores.write_text("")
    assert not is_as_made(scores)
    shutil.copytree("results", tmp_path / "other/results")
    monkeypatch.chdir(tmp_path / "other")
    assert not is_as_made(scores)
    scores.write_text("psnr_db,23.5\n")
    assert is_as_made(scores)


@pytest.mark.parametrize("content", [b"", b"\xff\xfe", b"0" * 64])
def test_a_damaged_digest_vouches_for_nothing(scores, content):
    Path(FOLDER, "scores/low/lpet/r0.csv").write_bytes(content)
    assert not is_as_made(scores)


def test_without_a_digest_a_file_is_taken_as_it_is(scores, tmp_path):
    forget_digests([scores])
    scores.write_text("another")
    require_as_made([scores, Path("results/none.csv")])
    elsewhere = tmp_path / "mine.csv"
    elsewhere.write_text("mine")
    keep_digests([elsewhere, Path("results/none.csv")])
    assert not [path for path in Path(FOLDER).rglob("*") if path.is_file()]


def test_a_digest_that_cannot_be_read_is_named(scores):
    place = Path(FOLDER, "scores/low/lpet/r0.csv")
    place.unlink()
    place.mkdir()
    with pytest.raises(InputError, match=r"^results/\.sha256/scores/low/lpet/r0\.csv: cannot be read"):
        require_as_made([scores])


def test_a_digest_that_cannot_be_kept_is_told_before_the_work(scores):
    shutil.rmtree(FOLDER)
    Path(FOLDER).touch()
    with pytest.raises(OutputError, match=r"^results/\.sha256/scores/.* cannot be written"):
        require_room_for_digests([scores])


def test_results_that_lack_a_digest_are_told(scores, tmp_path):
    other = scores.with_name("r1.csv")
    other.write_text("")
    assert without_digest([scores, other, tmp_path / "mine.csv"]) == [other]


def test_sha256sum_reads_the_digests(scores):
    """An independent program finds the same; what was pruned is no fault."""
    check = f"find {FOLDER} -type f -exec cat {{}} + | sha256sum --check --quiet --ignore-missing"
    other = scores.with_name("r1.csv")
    other.write_text("")
    keep_digests([other])
    other.unlink()
    subprocess.run(["sh", "-c", check], check=True)
    scores.write_text("psnr_db,23.6\n")
    told = subprocess.run(["sh", "-c", check], check=False, capture_output=True, text=True)
    assert told.returncode
    assert f"{scores}: FAILED" in told.stdout


def test_files_that_people_read_are_tables_and_scores(scores):
    for name in ("tables.csv", "report.html", "tables/table1.csv", "phantoms/source.json"):
        Path("results", name).parent.mkdir(exist_ok=True)
        Path("results", name).touch()
    assert [path.name for path in read_by_people()] == [
        "report.html",
        "tables.csv",
        "table1.csv",
        scores.name,
        "source.json",
    ]
