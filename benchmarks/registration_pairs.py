"""PET and T1 of one head with a known motion between them, for tests and benchmarks of registration.

The anatomy is a template phantom or a BrainWeb subject; noise is given by what a count level leaves in
grey matter. T1 is sharp with 3 % noise and an oblique, mirrored grid; PET has the mMR's voxels and a
point spread of 5 mm.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy import ndimage

from quietpet.config.phantoms import FB_SEM_ACTIVITY, FB_SEM_T1, TemplateSettings
from quietpet.phantom.brainweb import file_name, read_volume
from quietpet.phantom.template import load_template, template_volume
from quietpet.phantom.tissues import LabelVolume, Tissue, value_table
from quietpet.registration.volume import RigidTransform, Volume, resample
from quietpet.seeds import numpy_rng
from quietpet.units import sigma_from_fwhm

GREY_MATTER_NOISE = {"30min": 0.06, "16s": 0.06 * np.sqrt(1800 / 16)}
"""Standard deviation / mean of a voxel; it grows with the square root of the time that is lost."""

PET_VOXEL_MM = (2.08626, 2.08626, 2.03125)
PET_SHAPE = (344, 344, 127)
T1_NOISE = 0.03
_SCANNER_PSF_MM, _FILTER_MM = 4.0, 3.0

STARTS = (
    ((0.0, 0.0, 0.0), (0.0, 0.0, 0.0)),
    ((3.0, -2.0, 4.0), (2.0, -4.0, 6.0)),
    ((-8.0, 5.0, -6.0), (-7.0, 9.0, -5.0)),
    ((12.0, 0.0, 10.0), (10.0, -12.0, 8.0)),
    ((20.0, 0.0, 0.0), (0.0, 0.0, 20.0)),
    ((0.0, 0.0, -20.0), (-20.0, 0.0, 0.0)),
    ((0.0, -20.0, 0.0), (0.0, 20.0, 0.0)),
    ((-11.0, 11.0, 11.0), (11.0, 12.0, -11.0)),
)
"""Motions of the head between T1 and PET: rotations about x, y, z [deg] and translations [mm]."""


@dataclass(frozen=True, kw_only=True)
class Anatomy:
    """A head on the voxels of T1: labels, and the positions of its brain, (n, 3) RAS mm."""

    t1: Volume
    activity: Volume
    brain_mm: np.ndarray


@dataclass(frozen=True, kw_only=True)
class Pair:
    """What a scan gives, and the motion that registration must find."""

    t1: Volume
    pet: Volume
    truth: RigidTransform
    brain_mm: np.ndarray

    def error_mm(self, found: RigidTransform) -> np.ndarray:
        """Target registration error at the positions of the brain."""
        return self.truth.distance_mm(found, self.brain_mm)


def template_anatomy(name: str = "pair") -> Anatomy:
    rng = numpy_rng(0, "registration", name)
    return anatomy(template_volume(load_template(), settings=TemplateSettings(), rng=rng), name=name)


def brainweb_anatomy(folder: Path, subject: str) -> Anatomy:
    volume = read_volume(folder / file_name(subject))
    coarser = LabelVolume(codes=volume.codes[::2, ::2, ::2], voxel_mm=2 * volume.voxel_mm)
    return anatomy(coarser, name=subject)


def anatomy(labels: LabelVolume, *, name: str) -> Anatomy:
    """A mirrored and oblique T1 (columns to the left, rows to the back, tilted by 8 degrees)."""
    codes = labels.codes.transpose(2, 1, 0)[::-1]  # x to the left, y to the back, z upwards
    tilt = RigidTransform.from_rotation(euler_deg=(8.0, -3.0, 2.0)).fixed_to_moving
    axes = np.diag([-labels.voxel_mm, -labels.voxel_mm, labels.voxel_mm, 1.0])
    axes[:3, 3] = -axes[:3, :3] @ ((np.array(codes.shape) - 1) / 2)
    affine = tilt @ axes
    signal = ndimage.gaussian_filter(value_table(FB_SEM_T1)[codes], 0.5)
    noise = numpy_rng(0, "registration", "t1", name).standard_normal((2, *codes.shape), np.float32)
    noise *= T1_NOISE * FB_SEM_T1.white_matter
    t1 = np.hypot(signal + noise[0], noise[1])
    brain = np.isin(codes, (Tissue.GREY_MATTER, Tissue.WHITE_MATTER))
    indices = np.argwhere(brain)[::97]
    activity = ndimage.gaussian_filter(
        value_table(FB_SEM_ACTIVITY)[codes], sigma_from_fwhm(_SCANNER_PSF_MM) / labels.voxel_mm
    )
    fixed = Volume(values=t1, affine_ras_mm=affine)
    return Anatomy(
        t1=fixed,
        activity=Volume(values=activity, affine_ras_mm=affine),
        brain_mm=fixed.world_mm(indices),
    )


def pair(
    head: Anatomy,
    *,
    noise: str,
    euler_deg: Sequence[float],
    translation_mm: Sequence[float],
    shape: tuple[int, int, int] = PET_SHAPE,
) -> Pair:
    """The head moved in the scanner, and measured: Poisson noise, then a filter as OSEM leaves it."""
    truth = RigidTransform.from_rotation(
        euler_deg=euler_deg, translation_mm=translation_mm, centre_mm=head.brain_mm.mean(axis=0)
    )
    affine = np.diag([*PET_VOXEL_MM, 1.0])
    affine[:3, 3] = -affine[:3, :3] @ ((np.array(shape) - 1) / 2.0)
    grid = Volume(values=np.broadcast_to(np.float32(0), shape), affine_ras_mm=affine)
    expected = np.maximum(resample(head.activity, truth.inverse, like=grid).values, 0)
    sigmas = [sigma_from_fwhm(_FILTER_MM) / step for step in PET_VOXEL_MM]
    # The filter averages this many voxels: 1 / sum of its squared weights.
    averaged = np.prod([2 * np.sqrt(np.pi) * sigma for sigma in sigmas])
    counts = 1 / (GREY_MATTER_NOISE[noise] ** 2 * averaged) / FB_SEM_ACTIVITY.grey_matter
    motion = (*euler_deg, *translation_mm)
    rng = numpy_rng(0, "registration", "pet", noise, *(str(float(each)) for each in motion))
    measured = (rng.poisson(counts * expected) / counts).astype(np.float32)
    return Pair(
        t1=head.t1,
        pet=Volume(values=ndimage.gaussian_filter(measured, sigmas), affine_ras_mm=affine),
        truth=truth,
        brain_mm=head.brain_mm,
    )
