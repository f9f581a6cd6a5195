"""The undisturbed study, its copy that is disturbed, and the commands run on it."""

from __future__ import annotations

import os
import resource
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from small_study import TARGET, command, environment, run, tables_of, written

from fault_campaign.judging import Said
from fault_campaign.plan import FILES, INTERRUPTED, STEPS
from quietpet.outputs.digests import FOLDER as DIGESTS

LIMIT_S = 900.0
"""A command that takes longer than this hangs; a busy machine needs minutes for one."""


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
        return Said(status=124, text=text, hangs=True)
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


def worse(first: Said, last: Said) -> Said:
    """The end is that of the last command; that the first hung, or a traceback, is not forgotten."""
    text = f"{first.text}\n{last.text}" if first.traceback else last.text
    return Said(status=last.status, text=text, hangs=first.hangs or last.hangs)


def told_first(first: Said, last: Said) -> Said:
    """What stopped the first command, which must say it in a sentence, with the end of the last one."""
    text = f"{first.text}\n{last.text}" if first.status else last.text
    mute = bool(first.status) and not first.clear
    return Said(status=last.status, text=text, mute=mute, hangs=first.hangs or last.hangs)
