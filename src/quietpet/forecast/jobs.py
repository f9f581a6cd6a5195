"""The jobs of a study, each as the command that the workflow gives for it.

Snakemake prints these commands in a dry run, and every log begins with that of its own job: what is
planned and what was measured are read alike.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from quietpet.files.named import Files
from quietpet.jobs.job import Job

_COMMAND = re.compile(r"^\s*(?:\S+ \S+ INFO |Shell command: )?quietpet (?P<words>\w+ --.*)$")
_REDIRECTIONS = ("2>", "2>&1", "|")


@dataclass(frozen=True, kw_only=True)
class Part:
    """One step of a job: its name, its settings and its files."""

    step: str
    job: Job
    inputs: Files
    outputs: Files


@dataclass(frozen=True, kw_only=True)
class StudyJob:
    """One job of the workflow: the steps of its process, and the cores and GPUs that it asks for."""

    parts: tuple[Part, ...]
    threads: int = 1
    gpus: int = 0

    @property
    def name(self) -> str:
        """Its steps, each once: what jobs are counted by."""
        return " + ".join(dict.fromkeys(part.step for part in self.parts))

    @property
    def made(self) -> tuple[Path, ...]:
        """All files that it makes."""
        return tuple(path for part in self.parts for path in part.outputs.all())

    @property
    def read(self) -> tuple[Path, ...]:
        """All files that it needs from others."""
        own = set(self.made)
        return tuple(path for part in self.parts for path in part.inputs.all() if path not in own)


def commands_in(lines: Iterable[str]) -> Iterator[list[str]]:
    """The arguments of each command of the workflow among ``lines``, without redirections."""
    for line in lines:
        if found := _COMMAND.match(line.rstrip("\n")):
            yield _before_redirection(shlex.split(found["words"]))


def _before_redirection(words: Sequence[str]) -> list[str]:
    ends = [number for number, word in enumerate(words) if word in _REDIRECTIONS]
    return list(words[: min(ends, default=len(words))])
