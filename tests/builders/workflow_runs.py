"""Snakemake as users call it: what it prints, what it would do, and how it is interrupted."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from signal import Signals


def snakemake(repository: Path, *arguments: object, check: bool = True, **changes: str) -> str:
    """What Snakemake prints; with ``check`` it must succeed. ``changes`` are of the environment."""
    done = subprocess.run(
        _command(repository, *arguments),
        env=_environment(changes),
        capture_output=True,
        text=True,
        check=False,
    )
    output = done.stdout + done.stderr
    assert not check or done.returncode == 0, output
    return output


def interrupted(repository: Path, *arguments: object, when: Callable[[], object], by: Signals) -> None:
    """Run Snakemake and its jobs until ``when()``, then send all of them the signal ``by``."""
    running = subprocess.Popen(
        _command(repository, *arguments),
        env=_environment({}),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    deadline = time.monotonic() + 300
    while not when() and running.poll() is None and time.monotonic() < deadline:
        time.sleep(0.02)
    assert running.poll() is None, "it ended before it could be interrupted"
    os.killpg(running.pid, by)
    running.wait()


def planned_jobs(output: str) -> Counter[str]:
    """Jobs per rule in the table that a dry run prints last."""
    table = output.rsplit("Job stats:", 1)[-1].split("total", maxsplit=1)[0]
    return Counter(
        {rule: int(count) for rule, count in re.findall(r"^([\w-]+) +(\d+)$", table, re.MULTILINE)}
    )


def _command(repository: Path, *arguments: object) -> list[str]:
    snakemake = [sys.executable, "-m", "snakemake", "--snakefile", str(repository / "Snakefile")]
    return [*snakemake, "--cores", "2", *map(str, arguments)]


def _environment(changes: dict[str, str]) -> dict[str, str]:
    """The rules call `quietpet`, which lies beside the interpreter that runs the tests."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    kept = {name: value for name, value in os.environ.items() if name != "QUIETPET_BRAINWEB"}
    return {**kept, "PATH": path, **changes}
