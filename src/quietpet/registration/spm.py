"""SPM12's Coregister: what is asked of it, and what its answer means.

Ashburner and Friston, NeuroImage 6:209 (1997); Collignon et al. (1995) for the joint histogram. SPM's
own reslicing (4th-degree splines, negative PET) is not used: it only estimates. How nipype is driven:
:mod:`quietpet.registration.spm_process`.
"""

from __future__ import annotations

import functools
import importlib.util
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from quietpet.errors import InputError
from quietpet.files.volumes import read_sform, write_copy
from quietpet.geometry.volume import Volume
from quietpet.registration.spm_launchers import EngineError, Launcher, launchers, require_startable
from quietpet.registration.spm_process import (
    as_nipype_takes,
    in_own_process,
    last_words,
    scratch_folder,
)
from quietpet.registration.volume import RigidTransform

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

_SCANNER, _ALIGNED = 1, 2
"""sform codes: that of the copy, and the one with which SPM writes a new position."""


@dataclass(frozen=True, kw_only=True)
class Engine:
    """A launcher that has answered, what did, such as ``spm12``, and the versions of all of it."""

    launcher: Launcher
    name: str
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
        try:
            return start @ moved(started.affine_ras_mm, self._aligned(fixed, started, minutes=minutes))
        except (EngineError, ValueError) as error:
            raise InputError(f"{self.version} failed to register this scan: {error}") from None

    def _aligned(self, fixed: Volume, moving: Volume, *, minutes: float) -> np.ndarray:
        """The affine that SPM gives to ``moving``.

        Raises:
            EngineError: it gives none.
        """
        with scratch_folder() as folder:
            target, source = (folder / name for name in ("t1.nii", "pet.nii"))
            for path, volume in ((target, fixed), (source, moving)):
                write_copy(path, volume, sform_code=_SCANNER)
            request = {
                "do": "coregister",
                **as_nipype_takes(self.launcher),
                "target": str(target),
                "source": str(source),
                "options": _OPTIONS,
            }
            in_own_process(request, folder, minutes=minutes)
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
            engine = _probed(launcher)
            if isinstance(engine, str):
                raise EngineError(engine)
            if trial:
                engine.try_out()
            return engine
        except EngineError as error:
            problems.append(f"{launcher.name} ({launcher.command}): {error}")
    tried = "; ".join(problems) or "no MATLAB, no standalone SPM and no Octave with SPM was found"
    raise InputError(f"SPM12 cannot be used ({tried}): {REMEDY}.")


@functools.cache
def _probed(launcher: Launcher) -> Engine | str:
    """What :func:`_probe` returns or says; one that fails may take minutes, and is asked once too."""
    try:
        return _probe(launcher)
    except EngineError as error:
        return str(error)


def _probe(launcher: Launcher) -> Engine:
    """The launcher with the versions of SPM and its engine, asked of the engine itself.

    Raises:
        EngineError: it does not start, does not end, or has no SPM that is compiled for it and no
            older than SPM12.
    """
    require_startable(launcher)
    with scratch_folder() as folder:
        image = folder / "probe.nii"
        write_copy(image, _ellipsoid(), sform_code=_SCANNER)
        # A whole path, since startup.m may change the working directory.
        script = _PROBE_SCRIPT.replace("<image>", str(image))
        request = {"do": "probe", **as_nipype_takes(launcher), "script": script}
        said = in_own_process(request, folder, minutes=_PROBE_MINUTES)
    answer = _PROBE_ANSWER.search(said)
    if not answer:
        raise EngineError(f"ran, but did not name its version; it said: {last_words(said)}")
    name, release, version = answer.groups()
    number = re.fullmatch(r"SPM(\d+)\w*", name)
    if number and int(number.group(1)) < _OLDEST:
        raise EngineError(f"it is {name}, older than SPM{_OLDEST}")
    revision = f"r{release}" if release.isdigit() else release  # SPM25 and later are numbered 25.01
    return Engine(
        launcher=launcher,
        name=re.sub(r"\W+", "-", name.lower()).strip("-"),
        version=f"{name} {revision}, {launcher.name} {version}",
    )


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


def _new_position(source: Path) -> np.ndarray:
    """The affine that SPM has written.

    Raises:
        EngineError: it wrote none.
    """
    affine, code = read_sform(source)
    if affine is None or code != _ALIGNED or not np.isfinite(affine).all():
        raise EngineError("it ended without a word, and wrote no new position")
    return affine
