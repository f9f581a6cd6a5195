"""PET and T1 of one head with a known motion between them, for tests and benchmarks of registration.

:func:`pair` blurs a template phantom or a BrainWeb subject; noise is given by what a count level leaves
in grey matter. T1 is sharp with 3 % noise and an oblique, mirrored grid; PET has the mMR's voxels and a
point spread of 5 mm. :func:`standin_pair` takes a stand-in scan, measured and reconstructed frame by
frame, as the pipeline imports it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy import ndimage
from scipy.spatial.transform import Rotation

from quietpet.config.phantoms import FB_SEM_ACTIVITY, FB_SEM_T1, TemplateSettings
from quietpet.errors import InputError
from quietpet.files.text import read_json
from quietpet.files.volumes import read_volume as read_image
from quietpet.geometry.grid import mmr_grid
from quietpet.geometry.volume import Volume
from quietpet.phantom.brainweb import file_name, read_volume
from quietpet.phantom.resample import sample_nearest
from quietpet.phantom.template import load_template, template_volume
from quietpet.phantom.tissues import LabelVolume, Tissue, value_table
from quietpet.registration.volume import RigidTransform, resample
from quietpet.seeds import numpy_rng
from quietpet.units import sigma_from_fwhm

GREY_MATTER_NOISE = {
    "30min": 0.06,
    **{f"{seconds}s": 0.06 * np.sqrt(1800 / seconds) for seconds in (16, 8, 4, 2)},
}
"""Standard deviation / mean of a voxel; it grows with the square root of the time that is lost."""

PET_VOXEL_MM = (2.08626, 2.08626, 2.03125)
PET_SHAPE = (344, 344, 127)
T1_NOISE = 0.03
_SCANNER_PSF_MM, _FILTER_MM = 4.0, 3.0

_BIAS_WAVES, _BIAS_WAVELENGTH_MM = 3, (180.0, 320.0)

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

STANDIN_IMAGES = {"30min": "standard", "16s": "16s"}
"""Windows of the small study, which are files of each imported scan."""

MOST_DEG, MOST_MM = 20.0, 20.0


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

    def shift_mm(self, found: RigidTransform) -> np.ndarray:
        """Mean over the brain of where PET is sampled - where it should be, RAS in T1's world, (3,)."""
        sampled = self.truth.inverse.apply(found.apply(self.brain_mm))
        return (sampled - self.brain_mm).mean(axis=0)


def template_anatomy(name: str = "pair", *, bias: float = 0.0) -> Anatomy:
    rng = numpy_rng(0, "registration", name)
    labels = template_volume(load_template(), settings=TemplateSettings(), rng=rng)
    return anatomy(labels, name=name, bias=bias)


def brainweb_anatomy(folder: Path, subject: str, *, bias: float = 0.0) -> Anatomy:
    volume = read_volume(folder / file_name(subject))
    coarser = LabelVolume(codes=volume.codes[::2, ::2, ::2], voxel_mm=2 * volume.voxel_mm)
    return anatomy(coarser, name=subject, bias=bias)


def anatomy(labels: LabelVolume, *, name: str, bias: float = 0.0) -> Anatomy:
    """A mirrored and oblique T1 (columns to the left, rows to the back, tilted by 8 degrees).

    Its receive field deviates from one by ``bias`` where it deviates most.
    """
    codes = labels.codes.transpose(2, 1, 0)[::-1]  # x to the left, y to the back, z upwards
    tilt = RigidTransform.from_rotation(euler_deg=(8.0, -3.0, 2.0)).fixed_to_moving
    axes = np.diag([-labels.voxel_mm, -labels.voxel_mm, labels.voxel_mm, 1.0])
    axes[:3, 3] = -axes[:3, :3] @ ((np.array(codes.shape) - 1) / 2)
    affine = tilt @ axes
    signal = ndimage.gaussian_filter(value_table(FB_SEM_T1)[codes], 0.5)
    if bias:
        signal *= bias_field(codes != Tissue.AIR, affine, bias=bias, name=name)
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


def bias_field(head: np.ndarray, affine: np.ndarray, *, bias: float, name: str) -> np.ndarray:
    """A smooth field on a mask's voxels: a few plane waves, 1 +- ``bias`` over the head."""
    rng = numpy_rng(0, "registration", "bias", name)
    indices = np.ogrid[tuple(map(slice, head.shape))]
    field = np.zeros(head.shape, np.float32)
    for _ in range(_BIAS_WAVES):
        direction = rng.standard_normal(3)
        wave = direction / np.linalg.norm(direction) * 2 * np.pi / rng.uniform(*_BIAS_WAVELENGTH_MM)
        along = wave @ affine[:3, :3]
        phase = sum(step * index for step, index in zip(along, indices, strict=True))
        field += np.sin(phase + rng.uniform(0, 2 * np.pi), dtype=np.float32)
    field -= field[head].mean()
    return 1 + bias * field / np.abs(field[head]).max()


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


def standin_scans(results: Path) -> list[str]:
    """Imported stand-in scans of a study, ``<cohort>_sub-<participant>``."""
    truths = sorted(results.glob("standin/*/truth/*.json"))
    names = [f"{path.parent.parent.name}_sub-{path.stem}" for path in truths]
    return [name for name in names if (results / "invivo" / name / "T1w.nii.gz").exists()]


def standin_pair(results: Path, scan: str, *, noise: str, brainweb: Path | None = None) -> Pair:
    """A stand-in scan with the headers and the motion that it has.

    Raises:
        InputError: the head is BrainWeb's, and its folder is not given.
    """
    folder, (cohort, participant) = results / "invivo" / scan, scan.split("_sub-")
    truth = read_json(results / "standin" / cohort / "truth" / f"{participant}.json")
    motion = RigidTransform(fixed_to_moving=np.array(truth["t1_to_pet_ras_mm"]))
    return Pair(
        t1=read_image(folder / "T1w.nii.gz"),
        pet=read_image(folder / f"{STANDIN_IMAGES[noise]}.nii.gz"),
        truth=motion,
        brain_mm=motion.inverse.apply(_brain_in_scanner_mm(truth, brainweb)),
    )


def displaced(case: Pair, *, name: str, number: int) -> Pair:
    """The same images, PET's header changed: a drawn motion about the brain is what must be found.

    It turns about a random axis and goes along another, each uniformly up to 20 degrees and 20 mm.
    """
    rng = numpy_rng(0, "registration", "start", name, number)
    axis, direction = (each / np.linalg.norm(each) for each in rng.standard_normal((2, 3)))
    degrees, mm = rng.uniform(0, MOST_DEG), rng.uniform(0, MOST_MM)
    truth = RigidTransform.from_rotation(
        euler_deg=Rotation.from_rotvec(degrees * axis, degrees=True).as_euler("xyz", degrees=True),
        translation_mm=mm * direction,
        centre_mm=case.brain_mm.mean(axis=0),
    )
    header = (truth @ case.truth.inverse).fixed_to_moving @ case.pet.affine_ras_mm
    pet = Volume(values=case.pet.values, affine_ras_mm=header)
    return Pair(t1=case.t1, pet=pet, truth=truth, brain_mm=case.brain_mm)


def _brain_in_scanner_mm(truth: dict, brainweb: Path | None) -> np.ndarray:
    """Positions of grey and white matter, (n, 3) RAS mm in the world of PET."""
    anatomy = truth["anatomy"]
    if truth["anatomy_source"] == "brainweb":
        if not brainweb:
            raise InputError("these scans are of BrainWeb heads: give --brainweb, the folder of labels.")
        labels = read_volume(brainweb / file_name(anatomy))
    else:
        settings = truth["provenance"]["settings"]
        labels = template_volume(
            load_template(),
            settings=TemplateSettings(**settings["template"]),
            rng=numpy_rng(settings["study_seed"], "template", anatomy),
        )
    grid = mmr_grid(128)
    codes = sample_nearest(labels, grid=grid)
    indices = np.argwhere(np.isin(codes, (Tissue.GREY_MATTER, Tissue.WHITE_MATTER)))[::23]
    return indices @ grid.affine_ras_mm[:3, :3].T + grid.affine_ras_mm[:3, 3]
