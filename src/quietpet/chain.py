"""Steps that run one after the other in one process: Python, and what it imports, starts once.

``quietpet <step> ... then <step> ...``: a later step may read what an earlier one makes. A step whose
files are there, made of the same settings, inputs and code, is not repeated; what a chain does again is
then what its steps would do again if each were a job of its own.
"""

from __future__ import annotations

import gc
import importlib
import json
import logging
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

from pydantic import ValidationError

from quietpet.errors import InputError, OutputError
from quietpet.files.atomic import require_writable
from quietpet.files.hdf5 import recorded_provenance
from quietpet.files.named import Files
from quietpet.fingerprint.walk import fingerprint
from quietpet.jobs.job import Job
from quietpet.outputs.digests import (
    forget_digests,
    is_as_made,
    keep_digests,
    require_as_made,
    require_room_for_digests,
    without_digest,
)
from quietpet.provenance import tell_of
from quietpet.steps import STEPS, Step
from quietpet.study.mistakes import explain
from quietpet.tasks import is_first, step_tasks

logger = logging.getLogger(__name__)

THEN = "then"
"""The word between two steps."""

_SHARED = "fit"
"""The step that several processes share."""


@dataclass(frozen=True, kw_only=True)
class Link:
    """One step of a chain, with its job and its files."""

    step: Step
    job: Job
    inputs: Files
    outputs: Files

    @classmethod
    def of(cls, name: str, *, settings: str, inputs: Sequence[str], outputs: Sequence[str]) -> Link:
        """From arguments of the command line.

        Raises:
            InputError: settings or names of files that the step does not take.
        """
        step, read, made = STEPS[name], Files.parse(inputs), Files.parse(outputs)
        step.require_names(read, made)
        try:
            job = step.job.model_validate_json(settings)
        except ValidationError as error:
            raise InputError(f"--settings of {name}: {explain(error)}") from None
        return cls(step=step, job=job, inputs=read, outputs=made)

    def run(self) -> None:
        """Read, compute, write, and keep the digests of what was written."""
        made = self.outputs.all() if is_first() else []
        forget_digests(made)
        _stage(self.step.name).run(self.job, self.inputs, self.outputs)
        _keep_digests(made)

    @property
    def is_made(self) -> bool:
        """Whether its files are there, whole, and made of these settings, inputs, code and packages."""
        records = [recorded_provenance(path) for path in self.outputs.all()]
        return (
            all(records)
            and tell_of(
                [record for record in records if record],
                self.step.name,
                settings=self.job.model_dump(mode="json"),
                inputs=self.inputs.all(),
                also=self.job.named_code,
            )
            and all(is_as_made(path) for path in self.outputs.all())
        )


def code_now(record: Mapping[str, Any]) -> str | None:
    """The fingerprint of the code that would run now for the job of a record of how a file was made.

    None of a step or settings that are none any more.
    """
    step = STEPS.get(record.get("stage", ""))
    if step is None:
        return None
    try:
        job = step.job.model_validate_json(json.dumps(record.get("settings")))
    except ValidationError:
        return None
    return fingerprint(f"stages.{step.name}", *job.named_code)


def split_at_then(arguments: Sequence[str]) -> Iterator[list[str]]:
    """The arguments of each step."""
    part: list[str] = []
    for argument in arguments:
        if argument == THEN:
            yield part
            part = []
        else:
            part.append(argument)
    yield part


def require_usable(links: Sequence[Link]) -> None:
    """Find before any work what would make reading or writing fail after it.

    Raises:
        InputError: an input that is no file and that no earlier link makes, or that is a result which
            was changed since it was made; an output that is read by its own or an earlier link, is
            written by another, or cannot be written; several tasks of Slurm for what one process does.
    """
    _require_shared(links[0].step)
    written: set[Path] = set()
    read: list[Path] = []
    for link in links:
        given = [path for path in link.inputs.all() if path.resolve() not in written]
        read += given
        _require_files(given)
        for path in link.outputs.all():
            _require_free(path, (*read, *link.inputs.all()), written)
            written.add(path.resolve())


def _require_shared(step: Step) -> None:
    tasks = step_tasks()
    if tasks and step.name != _SHARED:
        raise InputError(
            f"srun started {tasks.count} tasks of {step.name}, which runs in one process; give "
            f"srun -n 1. Tasks share a training (`quietpet {_SHARED}`) alone."
        )


def _require_files(paths: Sequence[Path]) -> None:
    for path in paths:
        if not path.exists():
            raise InputError(f"{path}: no such file; run the step that makes it first.")
        if path.is_dir():
            raise InputError(f"{path}: is a folder; name a file.")
    require_as_made(paths)


def _require_free(path: Path, read: Sequence[Path], written: set[Path]) -> None:
    if any(path.resolve() == each.resolve() or _same(path, each) for each in read):
        raise InputError(f"{path}: is an input of this step; name another file for its output.")
    if path.resolve() in written:
        raise InputError(f"{path}: is named twice in --out; name another file for each output.")
    require_writable(path)
    require_room_for_digests([path])


def _same(one: Path, other: Path) -> bool:
    return one.exists() and other.exists() and one.samefile(other)


def run_chain(links: Sequence[Link]) -> Iterator[Link]:
    """Run all ``links``; yields each before it begins."""
    for link in links:
        yield link
        if len(links) > 1 and link.is_made:
            logger.info(
                "%s: its files are made of these settings, inputs and code; kept", link.step.name
            )
            for path in link.outputs.all():
                os.utime(path)  # no older than inputs that were written anew with the same content
            _keep_digests(without_digest(link.outputs.all()))
            continue
        link.run()
        if not is_first():
            return  # what follows a training is for one process


def _keep_digests(paths: Sequence[Path]) -> None:
    """The work of days is not lost where the disk is full before the digest of a result."""
    try:
        keep_digests(paths)
    except OutputError as error:
        logger.warning("%s Results are whole; a change of theirs may go unnoticed.", error)


def _stage(name: str) -> ModuleType:
    # What importing torch allocates stays to the end; looking for garbage in it takes 0.15 s.
    gc.disable()
    try:
        return importlib.import_module(f"quietpet.stages.{name}")
    finally:
        gc.freeze()
        gc.enable()
