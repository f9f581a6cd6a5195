from __future__ import annotations

import csv
import gzip
import hashlib
import re
import threading
from collections.abc import Iterator
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest

from quietpet.config.phantoms import FB_SEM_ACTIVITY, LesionSettings
from quietpet.errors import InputError
from quietpet.geometry.grid import mmr_grid
from quietpet.phantom import brainweb
from quietpet.phantom.brainweb import (
    DownloadError,
    Source,
    download,
    fault_in,
    file_name,
    read_sources,
    read_volume,
    require_plausible,
    subjects,
    with_sound_end,
)
from quietpet.phantom.lesions import draw_lesions, lesion_values, paint
from quietpet.phantom.resample import sample_nearest
from quietpet.phantom.tissues import LabelVolume, Tissue, value_table

CONTENT = np.random.default_rng(0).integers(0, 12, 50_000, dtype=np.uint16).tobytes()
PACKED = gzip.compress(CONTENT)


def _source(url: str = "http://localhost/") -> Source:
    return Source(url=url, sha256=hashlib.sha256(CONTENT).hexdigest(), bytes=len(CONTENT))


@pytest.fixture
def packed(tmp_path: Path) -> Path:
    path = tmp_path / "subject_04.bin.gz"
    path.write_bytes(PACKED)
    return path


def test_a_whole_file_has_no_fault(packed: Path) -> None:
    assert fault_in(packed, _source()) is None


def test_repacking_does_not_matter(packed: Path) -> None:
    packed.write_bytes(gzip.compress(CONTENT, compresslevel=1))
    assert fault_in(packed, _source()) is None


@pytest.mark.parametrize(
    ("content", "fault"),
    [
        (PACKED[:-100], "not a whole gzip file"),
        (b"<html>504 Gateway Time-out</html>", "not a whole gzip file"),
        (b"", "unpacks to 0 bytes"),
        (PACKED[:500] + bytes([PACKED[500] ^ 255]) + PACKED[501:], "not a whole gzip file|SHA-256"),
        (gzip.compress(CONTENT[:-2]), "unpacks to 99998 bytes instead of 100000"),
        (gzip.compress(CONTENT + b"more"), "unpacks to more than 100000 bytes"),
        (gzip.compress(CONTENT[::-1]), "its unpacked SHA-256 is"),
    ],
)
def test_a_damaged_file_has_a_fault(packed: Path, content: bytes, fault: str) -> None:
    packed.write_bytes(content)
    assert re.search(fault, fault_in(packed, _source()))


@pytest.mark.parametrize(
    "content",
    [PACKED[:-100], b"<html>504 Gateway Time-out</html>", b"", gzip.compress(CONTENT + b"more")],
)
def test_what_is_plainly_no_volume_is_named_with_a_remedy(packed: Path, content: bytes) -> None:
    require_plausible(packed, _source())
    packed.write_bytes(content)
    with pytest.raises(InputError, match=r"unpacks to 100000 bytes\. Put a whole one") as caught:
        require_plausible(packed, _source())
    assert str(packed) in str(caught.value)


class _Server(BaseHTTPRequestHandler):
    def __init__(self, *args, answers: list[tuple[int, bytes]]) -> None:
        self.answers = answers
        super().__init__(*args)

    def do_GET(self) -> None:
        status, body = self.answers.pop(0)
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args) -> None:
        """Keep the test output clean."""


@pytest.fixture
def answers(monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[list[tuple[int, bytes]], str]]:
    """What a local server will answer, one entry per request, and its address."""
    monkeypatch.setattr(brainweb, "_PAUSE_S", 0.0)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    queue: list[tuple[int, bytes]] = []
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(_Server, answers=queue)) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield queue, f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()
        thread.join()


def test_a_download_arrives_whole(answers, tmp_path: Path) -> None:
    queue, url = answers
    queue.append((200, PACKED))
    target = tmp_path / "cache" / "subject_04.bin.gz"
    download(_source(url), target)
    assert target.read_bytes() == PACKED


def test_a_download_is_tried_again(answers, tmp_path: Path) -> None:
    queue, url = answers
    queue += [(503, b"busy"), (200, PACKED)]
    download(_source(url), tmp_path / "subject_04.bin.gz")
    assert not queue


@pytest.mark.parametrize("answer", [(404, b""), (200, b"<html>sorry</html>"), (200, PACKED[:-9])])
def test_a_failed_download_leaves_nothing_behind(answers, tmp_path: Path, answer) -> None:
    queue, url = answers
    queue += [answer, answer]
    with pytest.raises(DownloadError, match=r"subject_04\.bin\.gz could not be fetched"):
        download(_source(url), tmp_path / "subject_04.bin.gz")
    assert list(tmp_path.iterdir()) == []


def test_a_server_that_is_not_there_is_a_download_error(answers, tmp_path: Path) -> None:
    with pytest.raises(DownloadError):
        download(_source("http://127.0.0.1:9/"), tmp_path / "subject_04.bin.gz")


def test_the_table_of_sources_pins_all_twenty_subjects(repository: Path) -> None:
    sources = read_sources(repository / "workflow" / "sources.tsv")
    assert tuple(sources) == subjects()
    assert len({source.sha256 for source in sources.values()}) == len(subjects()) == 20
    assert {source.bytes for source in sources.values()} == {362 * 434 * 362 * 2}
    for subject, source in sources.items():
        assert f"subject{subject}_crisp" in source.url


def test_the_table_names_the_links_that_are_fetched(repository: Path) -> None:
    table = repository / "workflow" / "sources.tsv"
    with table.open(newline="") as stream:
        rows = {row["id"]: row["url"] for row in csv.DictReader(stream, delimiter="\t")}
    sources = read_sources(table)
    assert {f"brainweb_{subject}": source.url for subject, source in sources.items()} == rows


def test_subjects_and_files_are_those_of_the_package() -> None:
    """The subjects as BrainWeb's page of the 20 normal brains lists them."""
    assert subjects() == ("04", "05", "06", "18", "20", "38", *map(str, range(41, 55)))
    assert [file_name(subject) for subject in subjects()] == list(brainweb._package().LINKS)


def test_every_class_of_the_package_is_one_of_ours() -> None:
    assert list(brainweb._CLASSES) == brainweb._package().Act.all_labels
    assert list(brainweb._CLASSES.values()) == list(Tissue)


def test_a_label_has_its_class_whatever_its_lowest_bits() -> None:
    labels = np.arange(192, dtype=np.uint16).reshape(2, 8, 12)
    np.testing.assert_array_equal(brainweb._tissue_codes(labels), (labels & 0xF0)[:, ::-1])


@pytest.mark.parametrize("label", [192, 208, 255, 256, 65535])
def test_a_label_of_no_class_is_named(label: int) -> None:
    labels = np.full((1, 2, 3), 32, np.uint16)
    labels[0, 1, 2] = label
    with pytest.raises(ValueError, match=f"label {label} is no BrainWeb class"):
        brainweb._tissue_codes(labels)


def test_a_table_of_sources_that_lacks_a_subject_is_refused(tmp_path: Path) -> None:
    table = tmp_path / "sources.tsv"
    table.write_text("id\turl\tsha256\tbytes\nbrainweb_04\thttp://x\tab\t5\n")
    with pytest.raises(InputError, match="brainweb_05"):
        read_sources(table)
    with pytest.raises(InputError, match="no such table"):
        read_sources(tmp_path / "absent.tsv")


def test_a_truncated_volume_is_not_read(packed: Path) -> None:
    with pytest.raises(InputError, match="not a readable BrainWeb volume"):
        read_volume(packed)


def test_unknown_labels_are_not_read(tmp_path: Path) -> None:
    path = tmp_path / "subject_04.bin.gz"
    path.write_bytes(gzip.compress(np.full(362 * 434 * 362, 208, np.uint16).tobytes(), compresslevel=1))
    with pytest.raises(InputError, match="label 208 is no BrainWeb class"):
        read_volume(path)


@pytest.mark.parametrize("voxels", [362 * 434 * 362 - 1, 362 * 434 * 362 + 1])
def test_a_volume_of_another_size_is_not_read(voxels: int, tmp_path: Path) -> None:
    path = tmp_path / "subject_04.bin.gz"
    path.write_bytes(gzip.compress(bytes(2 * voxels), compresslevel=1))
    with pytest.raises(InputError, match="not a readable BrainWeb volume"):
        read_volume(path)


def test_every_voxel_of_the_file_is_where_it_belongs(shared: Path, subject_04: LabelVolume) -> None:
    with gzip.open(shared / "brainweb" / "subject_04.bin.gz") as stream:
        raw = np.frombuffer(stream.read(), np.uint16).reshape(362, 434, 362)
    np.testing.assert_array_equal(subject_04.codes[:, ::-1], raw & 0xF0)


@pytest.fixture(scope="module")
def subject_04(shared: Path) -> LabelVolume:
    return read_volume(shared / "brainweb" / "subject_04.bin.gz")


def test_the_pinned_checksum_is_that_of_the_real_file(shared: Path, repository: Path) -> None:
    sources = read_sources(repository / "workflow" / "sources.tsv")
    packed = shared / "brainweb" / "subject_53.bin.gz"
    require_plausible(packed, sources["53"])
    read_volume(packed, source=sources["53"])
    with pytest.raises(InputError, match=r"SHA-256 is \w+ instead of .*Put a whole one"):
        read_volume(packed, source=sources["54"])


def test_no_tissue_class_is_lost(subject_04: LabelVolume) -> None:
    """Exact matching of 144, 160 and 176 would lose 2.85 of 31.0 million voxels, 9 per cent."""
    counts = np.bincount(subject_04.codes.ravel(), minlength=256)
    assert all(counts[tissue] > 0 for tissue in Tissue)
    assert counts[1:].sum() == pytest.approx(31.0e6, rel=2e-3)
    low_bit_classes = counts[[Tissue.AROUND_FAT, Tissue.DURA, Tissue.MARROW]].sum()
    assert low_bit_classes == pytest.approx(2.85e6, rel=2e-3)


@pytest.mark.parametrize("subject", ["04", "46", "53"])
def test_the_lowest_plane_of_a_sound_head_is_like_those_above(shared: Path, subject: str) -> None:
    """Tissues cover as much of it as of the plane 1 mm higher; in the files vessels cover 9 to 100 %."""
    raw = read_volume(shared / "brainweb" / f"subject_{subject}.bin.gz")
    sound = with_sound_end(raw)
    shares = [
        np.bincount(plane.ravel(), minlength=256) / plane.size
        for plane in (raw.codes[0], sound.codes[0], raw.codes[2])
    ]
    assert np.abs(shares[0] - shares[2]).max() > 0.06
    assert np.abs(shares[1] - shares[2]).max() < 0.03
    np.testing.assert_array_equal(sound.codes[1:], raw.codes[1:])


def test_the_head_lies_in_slices_19_to_104(subject_04: LabelVolume) -> None:
    """Heights measured in the published lineage; 107 is the last slice a volume can reach."""
    head = np.flatnonzero(sample_nearest(subject_04, grid=mmr_grid(128)).any(axis=(1, 2)))
    assert (head.min(), head.max()) == (19, 104)


def test_rows_run_from_anterior_to_posterior(subject_04: LabelVolume) -> None:
    """The cerebellum makes the brain's lower part lie further back than its upper part."""
    brain = np.isin(subject_04.codes, (Tissue.GREY_MATTER, Tissue.WHITE_MATTER))
    rows = np.arange(brain.shape[1])
    below, above = (
        np.average(rows, weights=brain[part].sum(axis=(0, 2)))
        for part in (slice(40, 80), slice(200, 280))
    )
    assert below > above


def test_activity_has_only_the_published_values(subject_04: LabelVolume) -> None:
    lesions = draw_lesions(subject_04, settings=LesionSettings(), rng=np.random.default_rng(0))
    table = value_table(FB_SEM_ACTIVITY, lesion_values(lesions, hot=144.0, cold=16.0))
    codes = np.unique(paint(subject_04, lesions).codes)
    assert set(table[codes].tolist()) == {0, 8, 16, 32, 96, 144}
