"""Fetching from a local server: resumed, whole, the pinned version, and nothing but what is needed."""

from __future__ import annotations

import contextlib
import csv
import errno
import functools
import hashlib
import os
import shutil
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import petbids
import pytest

from quietpet.config.scan_sources import SourceSettings
from quietpet.errors import InputError
from quietpet.files.named import Files
from quietpet.files.text import read_json
from quietpet.invivo import openneuro
from quietpet.invivo.openneuro import (
    TABLE,
    DownloadError,
    RemoteFile,
    already_there,
    download,
    files_of,
    missing,
    read_manifest,
    total_bytes,
)
from quietpet.jobs.invivo import FetchInvivoJob
from quietpet.stages import fetch_invivo

CONTENT = bytes(range(256)) * 400
PATH = "sub-01/pet/sub-01_task-rest_pet.nii.gz"


class Server:
    """What a local OpenNeuro has, how it behaves, and what it was asked for."""

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}
        self.honours_ranges = True
        self.breaks_after: list[int] = []
        self.html: dict[str, bytes] = {}
        self.asked: list[tuple[str, str | None]] = []
        self.slow_s = 0.0
        self.status: int | None = None


class _Handler(BaseHTTPRequestHandler):
    def __init__(self, *args, server_state: Server) -> None:
        self.state = server_state
        super().__init__(*args)

    def do_GET(self) -> None:
        state, wanted = self.state, self.headers.get("Range")
        state.asked.append((self.path, wanted))
        time.sleep(state.slow_s)
        if state.status:
            self._send(state.status, b"no")
        elif self.path in state.html:
            self._send(200, state.html[self.path], kind="text/html; charset=utf-8")
        elif (content := state.files.get(self.path)) is None:
            self._send(404, b"<html>no such key</html>", kind="text/html")
        elif wanted and state.honours_ranges:
            first = int(wanted.removeprefix("bytes=").removesuffix("-"))
            self._send(206, content[first:])
        else:
            self._send(200, content)

    def _send(self, status: int, body: bytes, *, kind: str = "application/octet-stream") -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        cut = self.state.breaks_after.pop(0) if self.state.breaks_after and status < 300 else len(body)
        with contextlib.suppress(ConnectionError):
            self.wfile.write(body[:cut])
        self.close_connection = True

    def log_message(self, *args) -> None:
        """Keep the test output clean."""


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    state = Server()
    handler = functools.partial(_Handler, server_state=state)
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as listening:
        thread = threading.Thread(target=listening.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        address = f"http://127.0.0.1:{listening.server_port}"
        monkeypatch.setattr(openneuro, "BUCKET", f"{address}/bucket")
        monkeypatch.setattr(openneuro, "SERVER", f"{address}/crn")
        monkeypatch.setattr(openneuro, "_PAUSE_S", 0.0)
        monkeypatch.setenv("NO_PROXY", "127.0.0.1")
        yield state
        listening.shutdown()
        thread.join()


def remote(content: bytes = CONTENT, path: str = PATH) -> RemoteFile:
    return RemoteFile(
        accession="ds000001",
        version="1.0.0",
        path=path,
        bytes=len(content),
        md5=hashlib.md5(content).hexdigest(),
    )


BUCKET_PATH = f"/bucket/ds000001/{PATH}"
SNAPSHOT_PATH = "/crn/ds000001/snapshots/1.0.0/files/sub-01%3Apet%3Asub-01_task-rest_pet.nii.gz"


def test_a_file_arrives_whole(server: Server, tmp_path: Path) -> None:
    server.files[BUCKET_PATH] = CONTENT
    download(remote(), tmp_path)
    assert (tmp_path / PATH).read_bytes() == CONTENT
    assert server.asked == [(BUCKET_PATH, None)]
    assert [path.name for path in (tmp_path / PATH).parent.iterdir()] == [Path(PATH).name]


def test_a_broken_transfer_goes_on_where_it_ended(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.files[BUCKET_PATH] = CONTENT
    server.breaks_after = [40_000]
    monkeypatch.setattr(openneuro, "_BLOCK_BYTES", 10_000)
    download(remote(), tmp_path)
    assert (tmp_path / PATH).read_bytes() == CONTENT
    assert [wanted for _, wanted in server.asked] == [None, "bytes=40000-", "bytes=40000-"]


def test_a_later_command_goes_on(server: Server, tmp_path: Path) -> None:
    server.files[BUCKET_PATH] = CONTENT
    part = tmp_path / f"{PATH}.part"
    part.parent.mkdir(parents=True)
    part.write_bytes(CONTENT[:70_000])
    download(remote(), tmp_path)
    assert (tmp_path / PATH).read_bytes() == CONTENT
    assert server.asked == [(BUCKET_PATH, "bytes=70000-")]


def test_a_server_that_sends_the_whole_file_again(server: Server, tmp_path: Path) -> None:
    server.files[BUCKET_PATH] = CONTENT
    server.honours_ranges = False
    part = tmp_path / f"{PATH}.part"
    part.parent.mkdir(parents=True)
    part.write_bytes(CONTENT[:70_000])
    download(remote(), tmp_path)
    assert (tmp_path / PATH).read_bytes() == CONTENT


def test_what_was_left_is_not_trusted(server: Server, tmp_path: Path) -> None:
    server.files[BUCKET_PATH] = server.files[SNAPSHOT_PATH] = CONTENT
    part = tmp_path / f"{PATH}.part"
    part.parent.mkdir(parents=True)
    for left in (b"x" * 70_000, b"x" * len(CONTENT), CONTENT + b"more"):
        part.write_bytes(left)
        download(remote(), tmp_path)
        assert (tmp_path / PATH).read_bytes() == CONTENT
        (tmp_path / PATH).unlink()


def test_two_processes_that_want_the_same_file_take_turns(server: Server, tmp_path: Path) -> None:
    """Threads stand for them: locks are between open files, whoever opened them."""
    server.files[BUCKET_PATH] = CONTENT
    server.slow_s = 0.3
    with ThreadPoolExecutor(4) as pool:
        for each in [pool.submit(download, remote(), tmp_path) for _ in range(4)]:
            each.result()
    assert (tmp_path / PATH).read_bytes() == CONTENT
    assert server.asked == [(BUCKET_PATH, None)], "fetched once"
    assert [path.name for path in (tmp_path / PATH).parent.iterdir()] == [Path(PATH).name]


def test_the_next_goes_on_where_a_failed_one_ended(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.files[BUCKET_PATH] = CONTENT
    server.breaks_after = [40_000]
    server.slow_s = 0.2
    monkeypatch.setattr(openneuro, "_ATTEMPTS", 1)
    monkeypatch.setattr(openneuro, "_BLOCK_BYTES", 10_000)
    with ThreadPoolExecutor(2) as pool:
        both = [pool.submit(download, remote(), tmp_path) for _ in range(2)]
        assert sorted(each.exception() is None for each in both) == [False, True]
    assert (tmp_path / PATH).read_bytes() == CONTENT
    assert (BUCKET_PATH, "bytes=40000-") in server.asked


@pytest.mark.parametrize("number", [errno.ENOLCK, errno.ENOSYS])
def test_a_file_system_without_locks_will_do(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    def flock(*_) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(openneuro.fcntl, "flock", flock)
    server.files[BUCKET_PATH] = CONTENT
    download(remote(), tmp_path)
    assert (tmp_path / PATH).read_bytes() == CONTENT


def test_a_server_that_stalls_is_left(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.files[BUCKET_PATH] = CONTENT
    server.slow_s = 1.0
    monkeypatch.setattr(openneuro, "_READ_S", 0.05)
    monkeypatch.setattr(openneuro, "_ATTEMPTS", 1)
    with pytest.raises(DownloadError, match="Read timed out"):
        download(remote(), tmp_path)


def test_a_refused_request_names_its_status(server: Server, tmp_path: Path) -> None:
    server.status = 403
    server.files = dict.fromkeys((BUCKET_PATH, SNAPSHOT_PATH), CONTENT)
    with pytest.raises(DownloadError, match="403"):
        download(remote(), tmp_path)
    assert not (tmp_path / PATH).exists()


def test_a_full_disk_is_named_and_what_came_is_kept(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.files[BUCKET_PATH] = CONTENT
    monkeypatch.setattr(openneuro, "_BLOCK_BYTES", 10_000)

    def full(self, block: bytes) -> None:
        if self._stream.tell() >= 50_000:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        self._stream.write(block)

    with monkeypatch.context() as small:
        small.setattr(openneuro._Reported, "write", full)
        with pytest.raises(DownloadError, match=r"_pet\.nii\.gz: .*No space left on device"):
            download(remote(), tmp_path)
    assert already_there([remote()], tmp_path) == 50_000
    download(remote(), tmp_path)
    assert server.asked[-1] == (BUCKET_PATH, "bytes=50000-")


def test_a_proxy_of_the_environment_is_used(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    address = openneuro.BUCKET.removesuffix("/bucket")
    monkeypatch.setattr(openneuro, "BUCKET", "http://openneuro.invalid/bucket")
    monkeypatch.delenv("NO_PROXY")
    monkeypatch.delenv("no_proxy", raising=False)
    monkeypatch.setenv("HTTP_PROXY", address)
    monkeypatch.setenv("http_proxy", address)
    server.files[f"http://openneuro.invalid{BUCKET_PATH}"] = CONTENT
    download(remote(), tmp_path)
    assert (tmp_path / PATH).read_bytes() == CONTENT


def test_a_newer_version_in_the_bucket_is_not_taken(server: Server, tmp_path: Path) -> None:
    server.files[BUCKET_PATH] = CONTENT[::-1]
    server.files[SNAPSHOT_PATH] = CONTENT
    download(remote(), tmp_path)
    assert (tmp_path / PATH).read_bytes() == CONTENT
    assert [path for path, _ in server.asked] == [BUCKET_PATH, SNAPSHOT_PATH]


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        ("html", "a web page came"),
        ("absent", "404"),
        ("newer", "its MD5 is .* instead of"),
        ("longer", "102403 bytes are offered instead of 102400"),
    ],
)
def test_a_failed_download_leaves_no_file(server: Server, tmp_path: Path, kind: str, words: str) -> None:
    if kind == "html":
        server.html = dict.fromkeys((BUCKET_PATH, SNAPSHOT_PATH), b"<html>504 Gateway Time-out</html>")
    elif kind == "newer":
        server.files = dict.fromkeys((BUCKET_PATH, SNAPSHOT_PATH), CONTENT[::-1])
    elif kind == "longer":
        server.files = dict.fromkeys((BUCKET_PATH, SNAPSHOT_PATH), CONTENT + b"new")
    with pytest.raises(DownloadError, match=rf"_pet\.nii\.gz could not be fetched: .*{words}"):
        download(remote(), tmp_path)
    assert not (tmp_path / PATH).exists()


def test_a_web_page_without_its_type_is_seen(server: Server, tmp_path: Path) -> None:
    page = b"<!DOCTYPE html><html>504</html>".ljust(len(CONTENT))
    server.files = dict.fromkeys((BUCKET_PATH, SNAPSHOT_PATH), page)
    with pytest.raises(DownloadError, match="web page that was saved"):
        download(remote(), tmp_path)


def test_a_file_that_is_there_must_be_the_pinned_one(tmp_path: Path) -> None:
    path = tmp_path / PATH
    assert missing([remote()], tmp_path) == [remote()]
    path.parent.mkdir(parents=True)
    path.write_bytes(CONTENT)
    assert missing([remote()], tmp_path) == []
    path.write_bytes(CONTENT[:-1])
    with pytest.raises(InputError, match=r"has 102399 bytes instead of 102400 in version"):
        missing([remote()], tmp_path)


@pytest.mark.parametrize("accession", ["ds002898", "ds003397"])
def test_the_shipped_table_is_that_of_the_facts(shared: Path, accession: str) -> None:
    with (shared / "facts" / "openneuro_manifest.csv").open() as stream:
        known = {
            row["path"]: (int(row["bytes"]), row["md5"])
            for row in csv.DictReader(stream)
            if row["dataset"] == accession
        }
    files = read_manifest(TABLE, accession)
    images = {file.path: (file.bytes, file.md5) for file in files if file.path.endswith(".nii.gz")}
    assert images.items() <= known.items()
    expected = {"ds002898": 2 * 27, "ds003397": 5 * 15}[accession]
    assert len(images) == expected
    folder = shared / "invivo_metadata" / accession
    assert missing([file for file in files if file.path not in images], folder) == []


def test_the_shipped_table_is_small_and_one_participant_is_not_all() -> None:
    assert TABLE.stat().st_size < 300_000
    files = read_manifest(TABLE, "ds002898")
    one = files_of(files, participant="04", entities={}, runs=())
    images = [file.path for file in one if file.path.endswith(".nii.gz")]
    assert images == ["sub-04/anat/sub-04_T1w.nii.gz", "sub-04/pet/sub-04_task-rest_pet.nii.gz"]
    assert sum(file.path.endswith("_pet.json") for file in one) == 27
    assert total_bytes(one) / 1e9 == pytest.approx(1.4, abs=0.1)
    runs = files_of(
        read_manifest(TABLE, "ds003397"),
        participant="11",
        entities={"task": "checkerboard"},
        runs=("2", "3"),
    )
    images = [file.path for file in runs if file.path.endswith(".nii.gz")]
    assert [path[-16:-7] for path in images] == ["run-1_T1w", "run-2_pet", "run-3_pet"]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("accession,path\nds000001,a\n", "wants the columns"),
        ("accession,version,path,bytes,md5\nds000001,1,a,many,x\n", "wants the columns"),
        ("accession,version,path,bytes,md5\nds000002,1,a,1,x\n", "has no files of ds000001, only of"),
        ("accession,version,path,bytes,md5\nds000001,1,../a,1,x\n", "lies outside"),
        ("accession,version,path,bytes,md5\nds000001,1,/etc/a,1,x\n", "lies outside"),
    ],
)
def test_a_wrong_table_is_refused(tmp_path: Path, text: str, words: str) -> None:
    table = tmp_path / "files.csv"
    table.write_text(text)
    with pytest.raises(InputError, match=words):
        read_manifest(table, "ds000001")
    with pytest.raises(InputError, match="no such table"):
        read_manifest(tmp_path / "absent.csv", "ds000001")


@pytest.fixture
def published(server: Server, tmp_path: Path) -> Path:
    """A data set of two participants on the server, and the table of its files."""
    tree = petbids.write_dataset(tmp_path / "published", participants=2)
    table = tmp_path / "files.csv"
    with table.open("w", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(["accession", "version", "path", "bytes", "md5"])
        for path in sorted(path for path in tree.rglob("*") if path.is_file()):
            name, content = path.relative_to(tree).as_posix(), path.read_bytes()
            server.files[f"/bucket/ds000001/{name}"] = content
            md5 = hashlib.md5(content).hexdigest()
            writer.writerow(["ds000001", "1.0.0", name, len(content), md5])
    return table


def fetched(table: Path, root: Path, participant: str = "02") -> dict:
    source = SourceSettings(kind="openneuro", accession="ds000001", manifest=str(table))
    job = FetchInvivoJob(name="tiny", source=source, participant=participant, root=str(root))
    located = root.parent / f"located_{participant}.json"
    fetch_invivo.run(job, Files({}), Files({"located": [located]}))
    return read_json(located)


def test_the_stage_fetches_one_participant_and_every_side_car(
    server: Server, published: Path, tmp_path: Path
) -> None:
    root = tmp_path / "resources"
    located = fetched(published, root)
    assert located["pet"] == located["runs"] == ["sub-02/pet/sub-02_task-rest_pet"]
    assert located["t1"] == "sub-02/anat/sub-02_T1w"
    assert (located["data_source"], located["version"]) == ("ds000001", "1.0.0")
    names = {path.name for path in root.rglob("*") if path.is_file()}
    assert {"sub-02_task-rest_pet.nii.gz", "sub-01_task-rest_pet.json", "participants.tsv"} <= names
    assert "sub-01_task-rest_pet.nii.gz" not in names
    asked = len(server.asked)
    fetched(published, root)
    assert len(server.asked) == asked, "nothing is fetched twice"
    fetched(published, root, "01")
    assert len(server.asked) == asked + 2, "the other participant's two images"


def test_the_stage_explains_what_it_cannot_do(
    server: Server, published: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(InputError, match="ds000001 has no participant '07'"):
        fetched(published, tmp_path / "resources", "07")
    usage = shutil._ntuple_diskusage(10, 10, 0)
    with monkeypatch.context() as full:
        full.setattr(shutil, "disk_usage", lambda path: usage)
        with pytest.raises(InputError, match=r"needs 0\.0 GB, but its disk has 0\.0 GB left"):
            fetched(published, tmp_path / "resources")
    server.files.clear()
    with pytest.raises(InputError, match=r"could not be fetched.*folder in invivo\.sources\.tiny"):
        fetched(published, tmp_path / "resources")
