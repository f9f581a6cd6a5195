"""Faults of disks: read-only, full, or gone for a while."""

from __future__ import annotations

import contextlib
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

from fault_campaign.bench import Bench, ended, missing, told_first
from fault_campaign.judging import Said
from fault_campaign.plan import LEARNED, STEPS, Fault

MIB = 2**20


def read_only(bench: Bench, fault: Fault) -> tuple[str, Said]:
    bench.renew(bench.finished)
    missing(bench.copy, STEPS["restore"][1])
    place = bench.copy / fault.what
    with mounted("--bind", str(place), place):
        _called("mount", "-o", "remount,ro,bind", str(place))
        first = bench.run()
    return fault.what, told_first(first, bench.run())


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
        said = told_first(first, bench.run())
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
    return f"{limit // 1024} KiB", told_first(first, bench.run())


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
        said = told_first(first, bench.run())
    results.rmdir()
    store.rename(results)
    return f"after {3 + fault.at * 10:.1f} s", said


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
