"""The process in which nipype drives SPM, ended with all that it started when its time is over.

nipype ignores exit codes, has no time limits and changes files in place, so every call gets a process
and a new folder with uncompressed copies. Run as a module, this file is that process:
``python -m quietpet.registration.spm_process request.json``.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from quietpet.registration.spm_launchers import (
    MATLAB_VARIABLE,
    STANDALONE_VARIABLE,
    EngineError,
    Launcher,
)
from quietpet.units import SECONDS_PER_MINUTE

_PLAIN_PATH = re.compile(r"[\w/.@+=~-]+", re.ASCII)

_COMPLAINT = re.compile(r"^(?:MATLAB code threw an exception:\s*|error: )(\S.*)$", re.MULTILINE)


@contextlib.contextmanager
def scratch_folder() -> Iterator[Path]:
    """A new folder whose path SPM and nipype can take, removed at the end.

    nipype writes paths between apostrophes into scripts and without quotes into commands, and SPM
    ends a file's name at a comma: a temporary folder with such a path is passed over.

    Raises:
        EngineError: no temporary folder has a plain path.
    """
    for parent in (tempfile.gettempdir(), "/tmp", "/var/tmp"):
        if _PLAIN_PATH.fullmatch(parent) and os.access(parent, os.W_OK | os.X_OK):
            with tempfile.TemporaryDirectory(prefix="quietpet-spm-", dir=parent) as folder:
                yield Path(folder)
            return
    raise EngineError(
        f"the temporary folder {tempfile.gettempdir()!r} has a path that SPM cannot take; set TMPDIR to "
        "a folder whose path has letters, digits and the signs / . _ - alone"
    )


def as_nipype_takes(launcher: Launcher) -> dict[str, Any]:
    """What a request says of its launcher, under the names of nipype's settings."""
    return {
        "matlab_cmd": launcher.command,
        "use_mcr": launcher.standalone,
        # nipype writes them between apostrophes, which a doubled one does not end.
        "paths": [launcher.folder.replace("'", "''")]
        if launcher.folder and not launcher.standalone
        else [],
    }


def in_own_process(request: Mapping[str, Any], folder: Path, *, minutes: float) -> str:
    """Run :func:`main` on ``request`` in ``folder``; returns what the engine said.

    Raises:
        EngineError: it failed, or was ended with all its processes after ``minutes``.
    """
    (folder / "request.json").write_text(json.dumps(request))
    log = folder / "log.txt"
    with log.open("w") as stream:
        child = subprocess.Popen(
            [sys.executable, "-m", __spec__.name, "request.json"],
            cwd=folder,
            env=_environment(),
            stdin=subprocess.DEVNULL,
            stdout=stream,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            status = child.wait(minutes * SECONDS_PER_MINUTE)
        except subprocess.TimeoutExpired:
            raise EngineError(
                f"it did not end within {minutes:g} min and was stopped (registration.spm_minutes)"
            ) from None
        finally:
            _end_group(child)
    said = log.read_text(errors="replace")
    if status:
        raise EngineError(last_words(said))
    return said


def _environment() -> dict[str, str]:
    """That of this process, without what would make nipype choose another engine or call home."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if name not in ("FORCE_SPMMCR", STANDALONE_VARIABLE, MATLAB_VARIABLE)
    }
    return {**kept, "NO_ET": "1"}


def _end_group(child: subprocess.Popen) -> None:
    # Engines outlive a parent that is killed; the group holds whatever nipype started.
    with contextlib.suppress(ProcessLookupError):
        os.killpg(child.pid, signal.SIGKILL)
    child.wait()


def last_words(said: str) -> str:
    """What of an engine's output tells most: the line after MATLAB's exception, or the last one."""
    if complaint := _COMPLAINT.search(said):
        return complaint.group(1)
    lines = [line.strip() for line in said.splitlines() if line.strip()]
    return lines[-1] if lines else "it said nothing"


def main(arguments: list[str]) -> int:
    """Do what a request says with nipype, and print all that the engine says; the exit status."""
    from nipype.interfaces.base import Undefined  # noqa: PLC0415 (slow, and installed by few)
    from nipype.interfaces.matlab import MatlabCommand  # noqa: PLC0415
    from nipype.interfaces.spm import Coregister  # noqa: PLC0415

    request = json.loads(Path(arguments[0]).read_text())
    engine = {name: request[name] for name in ("matlab_cmd", "paths") if request[name]}
    if request["do"] == "probe":
        interface = MatlabCommand(**engine, script=request["script"])
        if request["use_mcr"]:
            of_matlab = ("nodesktop", "nosplash", "single_comp_thread")
            interface.inputs.trait_set(**dict.fromkeys(of_matlab, Undefined))
            interface.inputs.uses_mcr = True
    else:
        interface = Coregister(
            **engine,
            use_mcr=request["use_mcr"],
            target=request["target"],
            source=request["source"],
            **request["options"],
        )
    try:
        runtime = interface.run().runtime
    except Exception as error:  # of whatever class: nipype passes on what its parts raise
        print(error)
        return 1
    print(runtime.stdout, runtime.stderr, sep="\n")
    return runtime.returncode


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
