"""What a step is: its name, its job's settings, and the names of its files, which are checked."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from quietpet.errors import InputError
from quietpet.files.named import Files
from quietpet.jobs.job import Job


@dataclass(frozen=True)
class NamedFile:
    """One name of files that a step reads or writes.

    An ``optional`` one may be left out, unless the files called ``beside`` are given; of ``several``
    there may be more than one.
    """

    name: str
    content: str
    optional: bool = False
    several: bool = False
    beside: str | None = None

    @property
    def usage(self) -> str:
        """As in a synopsis: ``name=PATH``, with ``...`` for several, in brackets if optional."""
        usage = f"{self.name}=PATH{' ...' if self.several else ''}"
        return f"[{usage}]" if self.optional else usage


@dataclass(frozen=True, kw_only=True)
class Step:
    """One step: its name, the record of settings of its jobs, and the names of its files."""

    name: str
    job: type[Job]
    inputs: tuple[NamedFile, ...] = ()
    outputs: tuple[NamedFile, ...]

    @property
    def summary(self) -> str:
        """What it does, in one sentence."""
        return (self.job.__doc__ or "").splitlines()[0]

    def require_names(self, inputs: Files, outputs: Files) -> None:
        """Refuse unknown, missing and repeated names of files.

        Raises:
            InputError: names each of them, and what the step takes.
        """
        problems = [
            *_problems(inputs, self.inputs, "--in"),
            *_problems(outputs, self.outputs, "--out"),
        ]
        if problems:
            raise InputError(f"{self.name}: {'; '.join(problems)}. {self._takes()}")

    def _takes(self) -> str:
        inputs, outputs = (
            " ".join(file.usage for file in files) or "no files" for files in (self.inputs, self.outputs)
        )
        return f"It takes --in {inputs} and --out {outputs}."


def _problems(given: Files, known: Sequence[NamedFile], option: str) -> Iterator[str]:
    names = [file.name for file in known]
    for name in given.names:
        if name not in names:
            near = difflib.get_close_matches(name, names, n=1)
            yield f"{option} knows no {name!r}{f' (meant: {near[0]}?)' if near else ''}"
    for file in known:
        count = len(given.any(file.name))
        if not count and not file.optional:
            yield f"{option} lacks {file.name}=PATH ({file.content})"
        if not count and file.beside in given.names:
            yield f"{option} has {file.beside!r} without {file.name}=PATH ({file.content})"
        if count > 1 and not file.several:
            yield f"{option} has {count} files called {file.name!r} where one is taken"
