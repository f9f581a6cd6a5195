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
from collections.abc import Callable, Iterator, Mapping
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
    "pip install nipype, and name an SPM12 by SPMMCRCMD='run_spm12.sh <runtime> script' (standalone), "
    "or by QUIETPET_SPM=<folder of spm.m> with matlab or octave-cli on the PATH (for Octave compiled "
    "by `make PLATFORM=octave && make install PLATFORM=octave` in its folder src); or set "
    "registration.engine to 'embedded' or 'auto' (see envs/spm.md)"
)

_PROBE_MINUTES = 5.0
"""The first start of a MATLAB Runtime unpacks SPM, which takes minutes."""

_OLDEST = 12
"""Releases of SPM before this one have another Coregister."""

_TRIAL_MM = 4.0
"""Half a voxel of the image on which an engine is tried out."""

_PLAIN_PATH = re.compile(r"[\w/.@+=~-]+", re.ASCII)

_OPTIONS = {"jobtype": "estimate", "cost_function": "nmi", "separation": [8, 4, 2], "fwhm": [7, 7]}
"""SPM's defaults, and a coarser first pass, without which one far start in six is missed."""

_PROBE_SCRIPT = """
if isempty(which('spm')), error('SPM is not on its path'); end
[quietpet_name, quietpet_release] = spm('ver');
quietpet_image = spm_vol('<image>');
spm_slice_vol(quietpet_image, eye(4), quietpet_image.dim(1:2), 1);
quietpet_bytes = uint8(reshape(0:124, 5, 5, 5));
spm_conv_vol(quietpet_bytes, quietpet_bytes, [1 2 1] / 4, [1 2 1] / 4, [1 2 1] / 4, [-1 -1 -1]);
spm_hist2(quietpet_bytes, quietpet_bytes, eye(4), [1 1 1]);
spm_get_space('<image>', quietpet_image.mat);
fprintf(1, '\\nquietpet|%s|%s|%s|\\n', quietpet_name, quietpet_release, version);
"""
"""Calls whatever Coregister uses that must be compiled; a job without it may crash the engine."""

_PROBE_ANSWER = re.compile(r"^quietpet\|(.*)\|(.*)\|(.*)\|\s*$", re.MULTILINE)

_COMPLAINT = re.compile(r"^(?:MATLAB code threw an exception:\s*|error: )(\S.*)$", re.MULTILINE)

_SCANNER, _ALIGNED = 1, 2
"""sform codes: that of the copy, and the one with which SPM writes a new position."""


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
    """A command line whose relative paths, of files that exist, no longer depend on where it starts."""
    return " ".join(
        shlex.quote(str(Path(word).absolute())) if os.sep in word and Path(word).exists() else word
        for word in command.split(" ")
    )


@dataclass(frozen=True, kw_only=True)
class Engine:
    """A launcher that has answered, and the versions of SPM and of what runs it."""

    launcher: Launcher
    version: str

    @property
    def name(self) -> str:
        """``spm12``, or what else answered."""
        return self.version.split()[0].lower()

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
        try:
            return start @ moved(started.affine_ras_mm, self._aligned(fixed, started, minutes=minutes))
        except (EngineError, ValueError) as error:
            raise InputError(f"{self.version} failed to register this scan: {error}") from None

    def _aligned(self, fixed: Volume, moving: Volume, *, minutes: float) -> np.ndarray:
        """The affine that SPM gives to ``moving``.

        Raises:
            EngineError: it gives none.
        """
        with _scratch_folder() as folder:
            target, source = (folder / name for name in ("t1.nii", "pet.nii"))
            _write(target, fixed)
            _write(source, moving)
            request = {
                "do": "coregister",
                **_as_nipype_takes(self.launcher),
                "target": str(target),
                "source": str(source),
                "options": _OPTIONS,
            }
            _in_own_process(request, folder, minutes=minutes)
            return _new_position(source)

    def try_out(self) -> None:
        """Register an image of an ellipsoid to itself, a few millimetres away.

        Raises:
            EngineError: it failed, or ended elsewhere.
        """
        moved_away = RigidTransform.from_rotation(translation_mm=(6.0, 0.0, 0.0))
        ellipsoid = _ellipsoid()
        try:
            found = self.estimate(ellipsoid, ellipsoid, start=moved_away, minutes=_PROBE_MINUTES)
        except InputError as error:
            raise EngineError(str(error)) from None
        off_mm = found.distance_mm(RigidTransform.identity(), ellipsoid.world_mm(_corners(ellipsoid)))
        if off_mm.max() > _TRIAL_MM:
            raise EngineError(f"it registered an image to itself {off_mm.max():.1f} mm away from it")


def moved(old_affine: np.ndarray, new_affine: np.ndarray) -> RigidTransform:
    """The motion that took a header from ``old_affine`` to ``new_affine``, T1 world to PET world.

    Raises:
        ValueError: it is no rigid motion.
    """
    matrix = old_affine @ np.linalg.inv(new_affine)
    matrix[3] = (0, 0, 0, 1)
    return RigidTransform(fixed_to_moving=matrix)


def find_engine(environment: Mapping[str, str] | None = None, *, trial: bool = False) -> Engine:
    """The first launcher of this machine that starts SPM; with ``trial``, that also registers.

    Raises:
        InputError: there is none; says what was tried and how each failed.
    """
    environment = os.environ if environment is None else environment
    if importlib.util.find_spec("nipype") is None:
        raise InputError(f"SPM12 cannot be used, nipype is not installed: {REMEDY}.")
    problems = []
    for launcher in launchers(environment):
        try:
            engine = Engine(launcher=launcher, version=_probed(launcher))
            if trial:
                engine.try_out()
            return engine
        except EngineError as error:
            problems.append(f"{launcher.name} ({launcher.command}): {error}")
    tried = "; ".join(problems) or "no MATLAB, no standalone SPM and no Octave with SPM was found"
    raise InputError(f"SPM12 cannot be used ({tried}): {REMEDY}.")


@functools.cache
def _probed(launcher: Launcher) -> str:
    """Versions of SPM and its engine, asked of the engine itself.

    Raises:
        EngineError: it does not start, does not end, or has no SPM that is compiled for it and no
            older than SPM12.
    """
    _require_startable(launcher)
    with _scratch_folder() as folder:
        image = folder / "probe.nii"
        _write(image, _ellipsoid())
        # A whole path, since startup.m may change the working directory.
        script = _PROBE_SCRIPT.replace("<image>", str(image))
        request = {"do": "probe", **_as_nipype_takes(launcher), "script": script}
        said = _in_own_process(request, folder, minutes=_PROBE_MINUTES)
    answer = _PROBE_ANSWER.search(said)
    if not answer:
        raise EngineError(f"ran, but did not name its version; it said: {_last_words(said)}")
    name, release, version = answer.groups()
    number = re.fullmatch(r"SPM(\d+)\w*", name)
    if number and int(number.group(1)) < _OLDEST:
        raise EngineError(f"it is {name}, older than SPM{_OLDEST}")
    revision = f"r{release}" if release.isdigit() else release  # SPM25 and later are numbered 25.01
    return f"{name} {revision}, {launcher.name} {version}"


def _require_startable(launcher: Launcher) -> None:
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


def _ellipsoid() -> Volume:
    """A smooth ellipsoid with half axes of 16, 22 and 28 mm, off the middle of 16**3 voxels of 8 mm."""
    i, j, k = np.indices((16, 16, 16))
    square = ((i - 7) / 2) ** 2 + ((j - 8) / 2.8) ** 2 + ((k - 9) / 3.5) ** 2
    return Volume(
        values=np.exp(-square / 2).astype(np.float32), affine_ras_mm=np.diag([8.0, 8.0, 8.0, 1.0])
    )


def _corners(volume: Volume) -> np.ndarray:
    """Indices of the eight outermost voxels, (8, 3)."""
    return np.array(list(np.ndindex(2, 2, 2))) * (np.array(volume.values.shape) - 1)


@contextlib.contextmanager
def _scratch_folder() -> Iterator[Path]:
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


def _as_nipype_takes(launcher: Launcher) -> dict[str, Any]:
    return {
        "matlab_cmd": launcher.command,
        "use_mcr": launcher.standalone,
        # nipype writes them between apostrophes, which a doubled one does not end.
        "paths": [launcher.folder.replace("'", "''")]
        if launcher.folder and not launcher.standalone
        else [],
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
