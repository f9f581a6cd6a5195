"""What becomes of a study that is disturbed? Seeded faults, one by one, in copies of a small study.

    python benchmarks/faults.py --faults 200 --seed 1 --folder /tmp/faults [--only KIND]

Each fault is done to a copy of a finished or half-finished study. Then the same command is run again,
after `snakemake --unlock` where Snakemake itself was killed, as `docs/running.md` says. It must end in
the undisturbed tables, byte by byte, or stop with one sentence that names a file. Some of these
sentences are followed: the file is moved away, and the command run once more. Mounts want root;
without, faults that need one are skipped. Writes ``faults.csv`` into the folder; an interrupted campaign
goes on with the same command.
"""

from __future__ import annotations

import argparse
import contextlib
import csv
import os
import random
import re
import resource
import shutil
import signal
import subprocess
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import h5py
import psutil
from small_study import TARGET, command, environment, run, small_study, tables_of, written

from quietpet.outputs.digests import FOLDER as DIGESTS

LIMIT_S = 300.0
"""A command that takes longer than this hangs."""

MIB = 2**20

TABLES = ("tables.*", "paired.csv", "with_without_t1.csv", "sections/*")
"""What the last job makes, below the folder of results."""

LEARNED = ("learning_rates/**/*.*", "models/**/*.*", "restored/**/*.*", "scores/**/*.*", *TABLES)
"""What a study lacks that has its data and nothing else."""

_SCORED = ("datasets/phantom/low/test.h5", "scores/phantom/low/lpet/*", *TABLES)
"""What is made of the images of the test subject, by the shortest way to the tables."""

_OF_NETWORK = ("models/**/*.*", "scores/phantom/low/unet/*", *TABLES)

FILES: dict[str, tuple[str, tuple[str, ...]]] = {
    "phantom": (
        "results/phantoms/phantom/*.h5",
        ("slices/phantom/06.h5", "images/phantom/06/low.h5", *_SCORED),
    ),
    "slices": ("results/slices/phantom/*.h5", ("images/phantom/06/low.h5", *_SCORED)),
    "sinograms": ("results/sinograms/phantom/*/low.h5", ("images/phantom/06/low.h5", *_SCORED)),
    "images": ("results/images/phantom/*/low.h5", _SCORED),
    "data set": (
        "results/datasets/phantom/low/*.h5",
        ("learning_rates/**/*.*", "models/**/*.*", "scores/**/*.*", *TABLES),
    ),
    "learning rate": ("results/learning_rates/phantom/low/*.json", _OF_NETWORK),
    "weights": ("results/models/**/weights.safetensors", ("scores/phantom/low/unet/*", *TABLES)),
    "restored": ("results/restored/**/*.h5", ("scores/phantom/low/*/*", *TABLES)),
    "scores": ("results/scores/**/r0.csv", TABLES),
    "record": ("results/scores/**/*.json", TABLES),
    "tables": ("results/tables.csv", ()),
    "checkpoint": ("results/models/**/.weights.*.checkpoint-*.safetensors", ()),
    "trial": ("results/learning_rates/**/.*.trials-*/**/log.csv", ()),
    "Snakemake's record": (".snakemake/metadata/**/*", TABLES),
}
"""What is damaged, by its pattern, and what a half-finished study lacks so that a job reads it."""

STEPS = {
    "phantom": (
        "phantom/phantom-06",
        ("phantoms/phantom/06.h5", "slices/phantom/06.h5", "images/phantom/06/low.h5", *_SCORED),
    ),
    "simulate": (
        "simulate/phantom-06-low",
        ("sinograms/phantom/06/low.h5", "images/phantom/06/low.h5", *_SCORED),
    ),
    "pack": ("pack/phantom-low-test", _SCORED),
    "learning_rate": ("learning_rate/phantom-low-unet", ("learning_rates/**/*.*", *_OF_NETWORK)),
    "fit": ("fit/phantom-low-unet-r0", _OF_NETWORK),
    "restore": (
        "restore/phantom-low-unet-r0",
        ("restored/phantom/low/unet/*", "scores/phantom/low/unet/*", *TABLES),
    ),
    "tables": ("tables", TABLES),
}
"""The log of a job of each step, and the results that are missing so that it runs."""

INTERRUPTED = {
    "checkpoint": ("fit", FILES["checkpoint"][0]),
    "trial": ("learning_rate", f"{DIGESTS}/learning_rates/**/log.csv"),
}
"""What only an interrupted job leaves: its step, and the file whose presence is waited for."""

ANY = "any"
_LATE = ("fit", "restore", "tables", "learning_rate")
"""Steps after which little is to be made anew: they are disturbed more often than the others."""


_KINDS: dict[str, tuple[int, Sequence[str]]] = {
    "read-only": (6, ["results/scores", "results", "logs", "."]),
    "full disk": (6, ["tmpfs"]),
    "file limit": (2, ["RLIMIT_FSIZE"]),
    "lost mount": (4, ["results"]),
    "two runs": (4, ["locked"]),
    "two runs, no lock": (2, ["--nolock"]),
    "truncated": (36, [*FILES]),
    "bit flipped": (48, [*FILES]),
    "value changed": (
        18,
        ["slices", "sinograms", "images", "data set", "learning rate", "restored", "scores", "record"],
    ),
    "swapped": (8, ["slices", "images", "data set", "restored", "scores"]),
    "moved": (6, ["slices", "sinograms", "images", "restored"]),
    "swapped, no digests": (6, ["slices", "sinograms", "images", "data set", "restored", "scores"]),
    "killed": (24, [*STEPS, ANY, *4 * _LATE]),
    "terminated": (14, [*STEPS, ANY, *_LATE]),
    "job killed": (12, [*STEPS, *_LATE]),
    "hung": (4, ["fit", "restore", "simulate"]),
}
KINDS = tuple(_KINDS)
"""Every kind of fault; `_KINDS` has their shares, and what they are done to."""

_OF_FILES = ("truncated", "bit flipped", "value changed", "swapped", "moved", "swapped, no digests")


@dataclass(frozen=True, kw_only=True)
class Fault:
    """One fault to be done.

    ``half``: the study is half finished, so that what is damaged is read. ``newer``: the file looks
    written just now; else its time stays. ``at`` in [0, 1) is where in a file, or when; ``choice`` which
    of several files. ``followed``: the sentence it leads to is followed.
    """

    number: int
    kind: str
    what: str
    half: bool
    newer: bool
    at: float
    choice: float
    bit: int
    followed: bool


def planned(count: int, seed: int, only: str | None = None) -> list[Fault]:
    """``count`` faults, each kind by its share and at least once; or ``only`` one kind."""
    kinds = [only] * count if only else shared_out(count)[:count]
    rounds = sorted(_turns(kinds), key=lambda each: each[1])  # so that the first ones are of all kinds
    return [
        _drawn(number, kind, random.Random(f"{seed}/{number}"), turn)
        for number, (kind, turn) in enumerate(rounds)
    ]


def shared_out(count: int) -> list[str]:
    """Kinds of ``count`` faults, by the method of largest remainders, kind after kind."""
    total = sum(share for share, _ in _KINDS.values())
    exact = {kind: count * share / total for kind, (share, _) in _KINDS.items()}
    numbers = {kind: max(1, int(each)) for kind, each in exact.items()}
    for kind in sorted(exact, key=lambda kind: numbers[kind] - exact[kind]):
        numbers[kind] += sum(numbers.values()) < count
    return [kind for kind, number in numbers.items() for _ in range(number)]


def _turns(kinds: Sequence[str]) -> Iterator[tuple[str, int]]:
    """Each kind with how many of it came before, so that all it is done to get their turn."""
    before: Counter[str] = Counter()
    for kind in kinds:
        yield kind, before[kind]
        before[kind] += 1


def _drawn(number: int, kind: str, rng: random.Random, turn: int) -> Fault:
    names = _KINDS[kind][1]
    what = names[-1 - turn % len(names)]  # late steps, which are soon made anew, first
    return Fault(
        number=number,
        kind=kind,
        what=what,
        half=kind not in _OF_FILES or (bool(FILES[what][1]) and rng.random() < 0.8),
        newer=rng.random() < 0.5,
        at=rng.random(),
        choice=rng.random(),
        bit=rng.randrange(8),
        followed=rng.random() < 0.15,
    )


@dataclass(frozen=True, kw_only=True)
class Said:
    """What a command ended with, and what it printed."""

    status: int
    text: str
    mute: bool = False
    """Whether a command before this one stopped without a sentence."""

    @property
    def sentence(self) -> str:
        """The one that says what stopped it, or the rule that failed without one; else nothing."""
        patterns = (
            r"^quietpet: error: (.+)$",
            r"^(?:WorkflowError|LockException)[^\n]*:\n((?:.+\n?)+)",
            r"^Error: (.+)$",
            r"^((?:OS|Permission|FileNotFound|FileExists)\w*Error.*)$",
            r"^(Error in rule \w+)",
        )
        found = (re.search(pattern, self.text, re.MULTILINE) for pattern in patterns)
        first = next((match[1] for match in found if match), "")
        return " ".join(first.split())

    @property
    def clear(self) -> bool:
        return bool(self.sentence) and not self.sentence.startswith("Error in rule")

    @property
    def traceback(self) -> bool:
        return "Traceback (most recent call last)" in self.text


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """How one fault ended: "resumed", "refused", "wrong tables", "silent", "traceback" or "skipped"."""

    fault: Fault
    outcome: str
    where: str = ""
    said: str = ""
    seconds: float = 0.0


@dataclass(frozen=True, kw_only=True)
class Bench:
    """The undisturbed studies, and the folder in which copies of them are disturbed."""

    folder: Path
    configuration: Path
    tables: dict[str, bytes] = field(repr=False)

    @property
    def finished(self) -> Path:
        return self.folder / "finished"

    @property
    def copy(self) -> Path:
        return self.folder / "copy"

    @classmethod
    def prepared(cls, folder: Path, study: Mapping[str, Any]) -> Bench:
        """Run ``study`` undisturbed in a new ``folder``."""
        configuration = written(study, folder / "study.yaml")
        run(configuration, folder / "finished", TARGET)
        return cls(folder=folder, configuration=configuration, tables=tables_of(folder / "finished"))

    def interrupted(self, what: str) -> Path:
        """A copy of the finished study in which a job was killed when it had left ``what``."""
        step, pattern = INTERRUPTED[what]
        folder = self.folder / what
        if folder.exists():
            return folder
        shutil.copytree(self.finished, folder, symlinks=True)
        missing(folder, STEPS[step][1])
        running = self.started(folder)
        waited_for(lambda: any(folder.glob(pattern)), running)
        os.killpg(running.pid, signal.SIGKILL)
        running.communicate()
        self.unlocked(folder)
        if not any(folder.glob(FILES[what][0])):
            raise SystemExit(f"{step} ended before it could be interrupted")
        return folder

    def started(self, folder: Path, *options: str, limit: int | None = None) -> subprocess.Popen[str]:
        """Snakemake and its jobs in a process group of their own; no file may exceed ``limit`` bytes."""
        running = subprocess.Popen(
            command(self.configuration, folder, *options, TARGET),
            env=environment(),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        if limit:
            resource.prlimit(running.pid, resource.RLIMIT_FSIZE, (limit, limit))
        return running

    def run(self, *options: str, limit: int | None = None) -> Said:
        return ended(self.started(self.copy, *options, limit=limit))

    def unlocked(self, folder: Path) -> None:
        run(self.configuration, folder, "--unlock")

    def renew(self, source: Path) -> None:
        """The disturbed copy anew, from ``source``."""
        if self.copy.exists():
            shutil.rmtree(self.copy)
        shutil.copytree(source, self.copy, symlinks=True)


def ended(running: subprocess.Popen[str]) -> Said:
    try:
        text, _ = running.communicate(timeout=LIMIT_S)
    except subprocess.TimeoutExpired:
        os.killpg(running.pid, signal.SIGKILL)
        text, _ = running.communicate()
        return Said(status=124, text=text)
    except KeyboardInterrupt:
        os.killpg(running.pid, signal.SIGKILL)
        raise
    return Said(status=running.returncode, text=text)


def waited_for(ready: Callable[[], object], running: subprocess.Popen[str]) -> None:
    """Until ``ready`` or the end of the command."""
    began = time.monotonic()
    while not ready() and running.poll() is None and time.monotonic() - began < LIMIT_S:
        time.sleep(0.02)


def missing(folder: Path, patterns: Sequence[str]) -> None:
    """Take away results as if they had never been made."""
    for pattern in patterns:
        for path in sorted((folder / "results").glob(pattern), reverse=True):
            if path.is_file():
                path.unlink()
                (folder / DIGESTS / path.relative_to(folder / "results")).unlink(missing_ok=True)


def done_to_a_file(bench: Bench, fault: Fault) -> tuple[str, Said]:
    bench.renew(bench.interrupted(fault.what) if fault.what in INTERRUPTED else bench.finished)
    pattern, read_for = FILES[fault.what]
    files = sorted(path for path in bench.copy.glob(pattern) if path.is_file())
    read = [path for path in files if fault.half and "06" in (path.stem, path.parent.name)] or files
    path = read[int(fault.choice * len(read))]
    others = [each for each in files if each != path]
    if fault.half:
        missing(bench.copy, read_for)
    before = path.stat()
    told = DAMAGES[fault.kind](path, fault, others[0] if others else path, bench.copy)
    if not fault.newer:
        os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    return f"{path.relative_to(bench.copy)} {told}".strip(), bench.run()


def truncate(path: Path, fault: Fault, *_: Path) -> str:
    size = path.stat().st_size
    os.truncate(path, kept := int(fault.at * size))
    return f"{kept} of {size} bytes"


def flip(path: Path, fault: Fault, *_: Path) -> str:
    content = bytearray(path.read_bytes())
    place = int(fault.at * len(content))
    content[place] ^= 1 << fault.bit
    path.write_bytes(content)
    return f"bit {fault.bit} of byte {place}"


def change_value(path: Path, fault: Fault, *_: Path) -> str:
    """A digit of an attribute, or of a text, by a program that leaves a valid file."""
    if path.suffix == ".h5":
        with h5py.File(path, "a") as file:
            numbered = [name for name, text in sorted(file.attrs.items()) if re.search(r"\d", str(text))]
            name = numbered[int(fault.at * len(numbered))]
            file.attrs[name] = _another_digit(str(file.attrs[name]), fault.at)
        return f"attribute {name}"
    path.write_text(_another_digit(path.read_text(), fault.at))
    return "a digit"


def _another_digit(text: str, at: float) -> str:
    places = [match.start() for match in re.finditer(r"\d", text)]
    place = places[int(at * len(places))]
    return f"{text[:place]}{(int(text[place]) + 1) % 10}{text[place + 1 :]}"


def swap(path: Path, _: Fault, other: Path, __: Path) -> str:
    shutil.copyfile(other, path)
    return f"is {other.parent.name}/{other.name}"


def move(path: Path, _: Fault, other: Path, folder: Path) -> str:
    """The digest goes with it, as where whole folders are renamed."""
    shutil.copyfile(other, path)
    mine, others = (folder / DIGESTS / each.relative_to(folder / "results") for each in (path, other))
    shutil.copyfile(others, mine)
    return f"is {other.parent.name}/{other.name}, with its digest"


def swap_alone(path: Path, fault: Fault, other: Path, folder: Path) -> str:
    """In results of before there were digests: what files say of themselves must do."""
    shutil.rmtree(folder / DIGESTS)
    return swap(path, fault, other, folder)


DAMAGES: dict[str, Callable[[Path, Fault, Path, Path], str]] = {
    "truncated": truncate,
    "bit flipped": flip,
    "value changed": change_value,
    "swapped": swap,
    "moved": move,
    "swapped, no digests": swap_alone,
}


def killed(bench: Bench, fault: Fault) -> tuple[str, Said]:
    """A signal to Snakemake and all its jobs, at a random time of one step or of the whole run."""
    by = {"killed": signal.SIGKILL, "terminated": signal.SIGTERM}[fault.kind]
    running = _running(bench, fault)
    time.sleep(fault.at * (12 if fault.what == ANY else 2.5))
    late = running.poll() is not None
    with contextlib.suppress(ProcessLookupError):
        os.killpg(running.pid, by)
    first = ended(running)
    if by == signal.SIGKILL:
        bench.unlocked(bench.copy)
    where = f"{fault.what}, after its end" if late else fault.what
    return where, _worse(first, bench.run())


def _running(bench: Bench, fault: Fault) -> subprocess.Popen[str]:
    """The study, with a job of the fault's step just begun."""
    bench.renew(bench.finished)
    if fault.what == ANY:
        missing(bench.copy, LEARNED)
        return bench.started(bench.copy)
    log, outputs = STEPS[fault.what]
    missing(bench.copy, outputs)
    path = bench.copy / f"logs/{log}.log"
    path.unlink(missing_ok=True)
    running = bench.started(bench.copy)
    waited_for(path.exists, running)
    return running


def job_killed(bench: Bench, fault: Fault) -> tuple[str, Said]:
    """A job alone, at once or, where it hangs, when its time is over, as batch systems do it."""
    running = _running(bench, fault)
    waited_for(lambda: _job_of(running, fault.what), running)
    time.sleep(fault.at * 1.5)
    job = _job_of(running, fault.what)
    if job is not None:
        if fault.kind == "hung":
            job.suspend()
            time.sleep(2)
            job.terminate()
            job.resume()
            time.sleep(0.3)
        with contextlib.suppress(psutil.NoSuchProcess):
            job.kill()
    first = ended(running)
    return fault.what if job else f"{fault.what}, after its end", _worse(first, bench.run())


def _job_of(running: subprocess.Popen[str], step: str) -> psutil.Process | None:
    """The Python process of a step, below Snakemake."""
    with contextlib.suppress(psutil.Error):
        for each in psutil.Process(running.pid).children(recursive=True):
            words = each.cmdline()
            if step in words and any(word.endswith("bin/quietpet") for word in words[:2]):
                return each
    return None


def _worse(first: Said, last: Said) -> Said:
    """The end is that of the last command; a traceback of the first is not forgotten."""
    text = f"{first.text}\n{last.text}" if first.traceback else last.text
    return Said(status=last.status, text=text)


def read_only(bench: Bench, fault: Fault) -> tuple[str, Said]:
    bench.renew(bench.finished)
    missing(bench.copy, STEPS["restore"][1])
    place = bench.copy / fault.what
    with mounted("--bind", str(place), place):
        _called("mount", "-o", "remount,ro,bind", str(place))
        first = bench.run()
    return fault.what, _told_first(first, bench.run())


def full_disk(bench: Bench, fault: Fault) -> tuple[str, Said]:
    """The working folder on a small disk; it has more room the second time."""
    bench.renew(bench.finished)
    missing(bench.copy, LEARNED)
    used = int(subprocess.check_output(["du", "-sB4096", str(bench.copy)], text=True).split()[0]) * 4096
    size = used + int(fault.at * 0.2 * MIB)
    aside = bench.folder / "aside"
    shutil.rmtree(aside, ignore_errors=True)
    bench.copy.rename(aside)
    bench.copy.mkdir()
    with mounted("-t", "tmpfs", "-o", f"size={size}", "tmpfs", bench.copy):
        shutil.copytree(aside, bench.copy, symlinks=True, dirs_exist_ok=True)
        first = bench.run()
        _called("mount", "-o", f"remount,size={size + 64 * MIB}", str(bench.copy))
        said = _told_first(first, bench.run())
        shutil.rmtree(aside)
        shutil.copytree(bench.copy, aside, symlinks=True)
    bench.copy.rmdir()
    aside.rename(bench.copy)
    return f"{(size - used) // 1024} KiB left", said


def file_limit(bench: Bench, fault: Fault) -> tuple[str, Said]:
    bench.renew(bench.finished)
    missing(bench.copy, LEARNED)
    limit = int((0.01 + 0.06 * fault.at) * MIB)
    first = bench.run(limit=limit)
    return f"{limit // 1024} KiB", _told_first(first, bench.run())


def lost_mount(bench: Bench, fault: Fault) -> tuple[str, Said]:
    """Results lie on another disk, which goes while the study runs and comes back after it."""
    bench.renew(bench.finished)
    missing(bench.copy, LEARNED)
    store, results = bench.copy / "store", bench.copy / "results"
    results.rename(store)
    results.mkdir()
    with mounted("--bind", str(store), results):
        running = bench.started(bench.copy)
        time.sleep(3 + fault.at * 10)
        _called("umount", "-l", str(results))
        first = ended(running)
        shutil.rmtree(results, ignore_errors=True)  # Snakemake removes folders that it finds empty
        results.mkdir()
        _called("mount", "--bind", str(store), str(results))
        said = _told_first(first, bench.run())
    results.rmdir()
    store.rename(results)
    return f"after {3 + fault.at * 10:.1f} s", said


def two_runs(bench: Bench, fault: Fault) -> tuple[str, Said]:
    """The same command twice at once."""
    bench.renew(bench.finished)
    missing(bench.copy, LEARNED)
    options = ["--nolock"] if fault.what == "--nolock" else []
    one = bench.started(bench.copy, *options)
    time.sleep(fault.at * 8)
    other = ended(bench.started(bench.copy, *options))
    first = ended(one)
    return f"{fault.at * 8:.1f} s apart", _told_first(_worse(first, other), bench.run())


def _told_first(first: Said, last: Said) -> Said:
    """What stopped the first command, which must say it in a sentence, with the end of the last one."""
    text = f"{first.text}\n{last.text}" if first.status else last.text
    return Said(status=last.status, text=text, mute=bool(first.status) and not first.clear)


@contextlib.contextmanager
def mounted(*options: str | Path) -> Iterator[None]:
    _called("mount", *map(str, options))
    try:
        yield
    finally:
        # A bind of a folder to itself does not look like a mount.
        while not subprocess.run(
            ["umount", "-l", options[-1]], capture_output=True, check=False
        ).returncode:
            pass


def _called(*words: str) -> None:
    subprocess.run(words, check=True, capture_output=True)


def can_mount(folder: Path) -> bool:
    place = folder / "mount"
    place.mkdir(parents=True, exist_ok=True)
    try:
        with mounted("-t", "tmpfs", "-o", "size=64k", "tmpfs", place):
            return True
    except (OSError, subprocess.CalledProcessError):
        return False
    finally:
        place.rmdir()


DOERS: dict[str, Callable[[Bench, Fault], tuple[str, Said]]] = {
    **dict.fromkeys(_OF_FILES, done_to_a_file),
    **dict.fromkeys(("killed", "terminated"), killed),
    **dict.fromkeys(("job killed", "hung"), job_killed),
    "read-only": read_only,
    "full disk": full_disk,
    "file limit": file_limit,
    "lost mount": lost_mount,
    **dict.fromkeys(("two runs", "two runs, no lock"), two_runs),
}
MOUNTING = ("read-only", "full disk", "lost mount")


def tried(bench: Bench, fault: Fault, *, mounts: bool) -> Outcome:
    """Do one fault, run the command again, and see how that ends."""
    if fault.kind in MOUNTING and not mounts:
        return Outcome(fault=fault, outcome="skipped", said="mounting wants root")
    began = time.monotonic()
    where, said = DOERS[fault.kind](bench, fault)
    outcome = judged(said, tables_of(bench.copy), bench.tables)
    sentence = said.sentence
    if outcome == "refused" and fault.followed and (bench.copy / _named(sentence)).is_file():
        (bench.copy / _named(sentence)).rename(bench.folder / "moved away")
        after = judged(bench.run(), tables_of(bench.copy), bench.tables)
        outcome = "refused, then resumed" if after == "resumed" else after
    seconds = time.monotonic() - began
    return Outcome(fault=fault, outcome=outcome, where=where, said=sentence, seconds=round(seconds, 1))


def judged(said: Said, found: dict[str, bytes], expected: dict[str, bytes]) -> str:
    """How a command ended."""
    if said.traceback:
        return "traceback"
    if said.status == 0 and found != expected:
        return "wrong tables"
    if said.mute or (said.status and not said.clear):
        return "silent"
    return "refused" if said.status else "resumed"


def _named(sentence: str) -> str:
    """The file at the beginning of a sentence."""
    return sentence.partition(": ")[0]


GOOD = ("resumed", "refused", "refused, then resumed", "skipped")
COLUMNS = (
    "resumed",
    "refused",
    "refused, then resumed",
    "wrong tables",
    "silent",
    "traceback",
    "skipped",
)


def as_table(outcomes: Sequence[Outcome]) -> Iterator[str]:
    """A row per kind."""
    yield f"| fault | n | {' | '.join(COLUMNS)} |"
    yield f"|---|---|{'---|' * len(COLUMNS)}"
    for kind in dict.fromkeys(each.fault.kind for each in outcomes):
        yield _row(kind, [each for each in outcomes if each.fault.kind == kind])
    yield _row("all", outcomes)


def _row(name: str, outcomes: Sequence[Outcome]) -> str:
    found = Counter(each.outcome for each in outcomes)
    return f"| {name} | {len(outcomes)} | {' | '.join(str(found[each]) for each in COLUMNS)} |"


def write_outcomes(path: Path, outcomes: Sequence[Outcome]) -> None:
    rows = [
        {**asdict(each.fault), "outcome": each.outcome, "where": each.where, "said": each.said,
         "seconds": each.seconds}
        for each in outcomes
    ]  # fmt: skip
    with path.open("w", newline="") as stream:
        writer = csv.DictWriter(stream, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)


def read_outcomes(path: Path, plan: Sequence[Fault]) -> list[Outcome]:
    """Those of the ``plan`` that an interrupted campaign has written."""
    if not path.exists():
        return []
    with path.open(newline="") as stream:
        rows = {int(row["number"]): row for row in csv.DictReader(stream)}
    return [
        Outcome(
            fault=fault,
            outcome=row["outcome"],
            where=row["where"],
            said=row["said"],
            seconds=float(row["seconds"]),
        )
        for fault in plan
        if (row := rows.get(fault.number)) and (row["kind"], row["what"]) == (fault.kind, fault.what)
    ]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--faults", type=int, default=200)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--folder", type=Path, required=True, help="of the campaign alone")
    parser.add_argument("--only", choices=KINDS, help="faults of this kind alone")
    options = parser.parse_args()
    folder = options.folder.absolute()
    bench, mounts = Bench.prepared(folder, small_study()), can_mount(folder)
    plan, path = planned(options.faults, options.seed, options.only), folder / "faults.csv"
    outcomes = read_outcomes(path, plan)
    with contextlib.suppress(KeyboardInterrupt):
        for fault in plan[len(outcomes) :]:
            outcomes.append(done := tried(bench, fault, mounts=mounts))
            place = f"{fault.number} {fault.kind}, {done.where}"
            print(f"{place}: {done.outcome} ({done.seconds} s) {done.said}", flush=True)
            write_outcomes(path, outcomes)
    print("\n".join(["", *as_table(outcomes)]))
    return 0 if all(each.outcome in GOOD for each in outcomes) else 1


if __name__ == "__main__":
    raise SystemExit(main())
