"""SPM12's Coregister, driven through nipype, in a process of its own.

Ashburner and Friston, NeuroImage 6:209 (1997); Collignon et al. (1995) for the joint histogram. nipype
ignores exit codes, has no time limits and changes files in place, so every call gets a new folder with
uncompressed copies, and a group of processes that is ended when its time is over. SPM's own reslicing
(4th-degree splines, negative PET) is not used: it only estimates.

Run as a module, this file is that process: ``python -m quietpet.registration.spm request.json``.
"""

from __future__ import annotations

import contextlib
import functools
import importlib.util
import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np

from quietpet.errors import InputError
from quietpet.registration.volume import RigidTransform, Volume
from quietpet.units import SECONDS_PER_MINUTE

FOLDER_VARIABLE = "QUIETPET_SPM"
STANDALONE_VARIABLE = "SPMMCRCMD"
MATLAB_VARIABLE = "MATLABCMD"
REMEDY = (
    "pip install 'quietpet[spm]', and name an SPM12 by SPMMCRCMD='run_spm12.sh <runtime> script' "
    "(standalone), or by QUIETPET_SPM=<folder of spm.m> with matlab or octave-cli on the PATH; or set "
    "registration.engine to 'embedded' or 'auto' (see envs/spm.md)"
)

_PROBE_MINUTES = 5.0
"""The first start of a MATLAB Runtime unpacks SPM, which takes minutes."""

_OPTIONS = {"jobtype": "estimate", "cost_function": "nmi", "separation": [8, 4, 2], "fwhm": [7, 7]}
"""SPM's defaults, and a coarser first pass, without which one far start in six is missed."""

_PROBE_SCRIPT = """
if isempty(which('spm')), error('SPM is not on its path'); end
[quietpet_name, quietpet_release] = spm('ver');
fprintf(1, '\\nquietpet|%s|%s|%s|\\n', quietpet_name, quietpet_release, version);
"""
_PROBE_ANSWER = re.compile(r"^quietpet\|(.*)\|(.*)\|(.*)\|\s*$", re.MULTILINE)

_COMPLAINT = re.compile(r"^(?:MATLAB code threw an exception:\s*|error: )(\S.*)$", re.MULTILINE)

_SCANNER, _ALIGNED = 1, 2
"""sform codes: that of the copy, and the one with which SPM writes a new position."""


class EngineError(Exception):
    """A launcher did not do what it was asked; the message says why in one sentence."""


@dataclass(frozen=True, kw_only=True)
class Launcher:
    """One way to start SPM: ``command`` as nipype takes it, ``standalone`` for a script as argument.

    ``folder`` is put on the path by nipype.
    """

    name: str
    command: str
    standalone: bool = False
    folder: str | None = None


def launchers(
    environment: Mapping[str, str], *, which: Callable[[str], str | None] = shutil.which
) -> list[Launcher]:
    """What the environment offers, in the order in which it is tried."""
    found = []
    folder = environment.get(FOLDER_VARIABLE) or None
    if command := environment.get(STANDALONE_VARIABLE):
        found.append(Launcher(name="SPM standalone", command=command, standalone=True))
    matlab = environment.get(MATLAB_VARIABLE) or "matlab"
    if which(shlex.split(matlab)[0]):
        found.append(Launcher(name="MATLAB", command=matlab, folder=folder))
    if folder and which("octave-cli"):
        command = f"octave-cli --quiet --no-init-file --no-history --path {shlex.quote(folder)}"
        found.append(Launcher(name="GNU Octave", command=command, standalone=True))
    return found


@dataclass(frozen=True, kw_only=True)
class Engine:
    """A launcher that has answered, and the versions of SPM and of what runs it."""

    launcher: Launcher
    version: str

    def estimate(
        self, fixed: Volume, moving: Volume, *, start: RigidTransform, minutes: float
    ) -> RigidTransform:
        """SPM's Coregister (estimate, normalised mutual information) from ``start``.

        Raises:
            InputError: SPM failed, ran out of time, or left no new position behind.
        """
        started = Volume(
            values=moving.values,
            affine_ras_mm=start.inverse.fixed_to_moving @ moving.affine_ras_mm,
        )
        with tempfile.TemporaryDirectory(prefix="quietpet-spm-") as folder:
            target, source = (Path(folder) / name for name in ("t1.nii", "pet.nii"))
            _write(target, fixed)
            _write(source, started)
            request = {
                "do": "coregister",
                **_as_nipype_takes(self.launcher),
                "target": str(target),
                "source": str(source),
                "options": _OPTIONS,
            }
            try:
                _in_own_process(request, Path(folder), minutes=minutes)
                found = _new_position(source)
                return start @ moved(started.affine_ras_mm, found)
            except (EngineError, ValueError) as error:
                raise InputError(f"{self.version} failed to register this scan: {error}") from None


def moved(old_affine: np.ndarray, new_affine: np.ndarray) -> RigidTransform:
    """The motion that took a header from ``old_affine`` to ``new_affine``, T1 world to PET world.

    Raises:
        ValueError: it is no rigid motion.
    """
    matrix = old_affine @ np.linalg.inv(new_affine)
    matrix[3] = (0, 0, 0, 1)
    return RigidTransform(fixed_to_moving=matrix)


def find_engine(environment: Mapping[str, str] | None = None) -> Engine:
    """The first launcher of this machine that starts SPM.

    Raises:
        InputError: there is none; says what was tried and how each failed.
    """
    environment = os.environ if environment is None else environment
    if importlib.util.find_spec("nipype") is None:
        raise InputError(f"SPM12 cannot be used, nipype is not installed: {REMEDY}.")
    problems = []
    for launcher in launchers(environment):
        try:
            return Engine(launcher=launcher, version=_probed(launcher))
        except EngineError as error:
            problems.append(f"{launcher.name} ({launcher.command}): {error}")
    tried = "; ".join(problems) or "no MATLAB, no standalone SPM and no Octave with SPM was found"
    raise InputError(f"SPM12 cannot be used ({tried}): {REMEDY}.")


@functools.cache
def _probed(launcher: Launcher) -> str:
    """Versions of SPM and its engine, asked of the engine itself.

    Raises:
        EngineError: it does not start, does not end, or has no SPM.
    """
    request = {"do": "probe", **_as_nipype_takes(launcher), "script": _PROBE_SCRIPT}
    with tempfile.TemporaryDirectory(prefix="quietpet-spm-") as folder:
        said = _in_own_process(request, Path(folder), minutes=_PROBE_MINUTES)
    answer = _PROBE_ANSWER.search(said)
    if not answer:
        raise EngineError(f"ran, but did not name its version; it said: {_last_words(said)}")
    name, release, version = answer.groups()
    return f"{name} r{release}, {launcher.name} {version}"


def _as_nipype_takes(launcher: Launcher) -> dict[str, Any]:
    return {
        "matlab_cmd": launcher.command,
        "use_mcr": launcher.standalone,
        "paths": [launcher.folder] if launcher.folder else [],
    }


def _in_own_process(request: Mapping[str, Any], folder: Path, *, minutes: float) -> str:
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
        raise EngineError(_last_words(said))
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


def _last_words(said: str) -> str:
    """What of an engine's output tells most: the line after MATLAB's exception, or the last one."""
    if complaint := _COMPLAINT.search(said):
        return complaint.group(1)
    lines = [line.strip() for line in said.splitlines() if line.strip()]
    return lines[-1] if lines else "it said nothing"


def _write(path: Path, volume: Volume) -> None:
    """An uncompressed copy; its qform says nothing, since SPM would leave the old position there."""
    image = nib.Nifti1Image(np.asarray(volume.values, np.float32), volume.affine_ras_mm)
    image.set_qform(None, 0)
    image.set_sform(volume.affine_ras_mm, _SCANNER)
    image.to_filename(path)


def _new_position(source: Path) -> np.ndarray:
    """The affine that SPM has written.

    Raises:
        EngineError: it wrote none.
    """
    affine, code = nib.load(source).get_sform(coded=True)
    if code != _ALIGNED or not np.isfinite(affine).all():
        raise EngineError("it ended without a word, and wrote no new position")
    return affine


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
