"""How SPM can be started on this machine: its standalone, MATLAB or GNU Octave."""

from __future__ import annotations

import os
import re
import shlex
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

FOLDER_VARIABLE = "QUIETPET_SPM"
STANDALONE_VARIABLE = "SPMMCRCMD"
MATLAB_VARIABLE = "MATLABCMD"

_WORD = re.compile(r"""(?:'[^']*'|"(?:\\.|[^"\\])*"|\\.|[^\s'"\\])+(?=\s|$)""")
"""Of a POSIX shell: up to a blank that is neither quoted nor escaped."""


class EngineError(Exception):
    """A launcher did not do what it was asked; the message says why in one sentence."""


@dataclass(frozen=True, kw_only=True)
class Launcher:
    """One way to start SPM: ``command`` as nipype takes it, ``standalone`` for a script as argument.

    ``folder`` is that of SPM, where the environment names one; for MATLAB, nipype puts it on the path.
    """

    name: str
    command: str
    standalone: bool = False
    folder: str | None = None


def launchers(
    environment: Mapping[str, str], *, which: Callable[[str], str | None] = shutil.which
) -> list[Launcher]:
    """What the environment offers, in the order in which it is tried.

    Paths in it may be relative to the working directory; engines are started in another one.
    """
    found = []
    named = environment.get(FOLDER_VARIABLE, "").strip()
    folder = str(Path(named).expanduser().absolute()) if named else None
    if command := environment.get(STANDALONE_VARIABLE, "").strip():
        found.append(Launcher(name="SPM standalone", command=_absolute(command), standalone=True))
    matlab = environment.get(MATLAB_VARIABLE, "").strip()
    if matlab or which("matlab"):
        found.append(Launcher(name="MATLAB", command=_absolute(matlab or "matlab"), folder=folder))
    if folder and which("octave-cli"):
        command = f"octave-cli --quiet --no-init-file --no-history --path {shlex.quote(folder)}"
        found.append(Launcher(name="GNU Octave", command=command, standalone=True, folder=folder))
    return found


def _absolute(command: str) -> str:
    """A command line whose relative paths, of files that exist, no longer depend on where it starts.

    All else stays as it is written, what a shell expands and a quote that never ends too.
    """
    return _WORD.sub(lambda found: _absolute_word(found.group()), command)


def _absolute_word(quoted: str) -> str:
    (word,) = shlex.split(quoted)
    return shlex.quote(str(Path(word).absolute())) if os.sep in word and Path(word).exists() else quoted


def require_startable(launcher: Launcher) -> None:
    """Refuse what cannot start, in words that name the variable at fault.

    Raises:
        EngineError: the command has an unbalanced quote, or its folder holds no SPM.
    """
    try:
        shlex.split(launcher.command)
    except ValueError as error:
        raise EngineError(f"the command cannot be read ({error}); correct its quotes") from None
    if launcher.folder and not (Path(launcher.folder) / "spm.m").is_file():
        raise EngineError(f"{FOLDER_VARIABLE} = {launcher.folder} holds no spm.m")
