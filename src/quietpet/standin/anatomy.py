"""One head twice: as fractions of tissue on the PET grid, and as a T1 image in another space."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import ndimage
from scipy.spatial.transform import Rotation

from quietpet.config.phantoms import TissueValues
from quietpet.config.standin import TissueKinetics
from quietpet.geometry.grid import ImageGrid
from quietpet.phantom.resample import require_inside_image, sample_linear
from quietpet.phantom.tissues import LabelVolume, Tissue, value_table

CLASSES = tuple(TissueKinetics.model_fields)
"""Tissues of one time-activity curve each."""

_OWN_CLASS = {
    Tissue.GREY_MATTER: "grey_matter",
    Tissue.WHITE_MATTER: "white_matter",
    Tissue.CSF: "csf",
    Tissue.VESSELS: "blood",
}
SAMPLES_PER_SLICE = 2
"""Heights at which half a ring spacing is sampled: a slice is what lies within it, not a plane."""

MAX_OBLIQUITY_DEG = 1.5
"""The axes of the T1 grid are tilted by up to this, as real ones are."""

T1_UNITS_PER_SIGNAL = 4.0
"""Of the stored integers, per unit of ``phantoms.t1``."""


@dataclass(frozen=True, kw_only=True)
class T1Geometry:
    """Where a T1 image lies, and how the head moved before the PET scan.

    ``affine_ras_mm`` takes voxels (i, j, k) to T1 world, ``t1_to_pet_ras_mm`` T1 world to PET world;
    both are 4x4.
    """

    shape: tuple[int, int, int]
    affine_ras_mm: np.ndarray
    t1_to_pet_ras_mm: np.ndarray


def tissue_fractions(volume: LabelVolume, *, grid: ImageGrid) -> np.ndarray:
    """Fraction of every voxel that each of CLASSES fills, float32, (class, z, y, x)."""
    tables = np.zeros((len(CLASSES), 256), np.float32)
    for tissue in Tissue:
        if tissue != Tissue.AIR:
            tables[CLASSES.index(_OWN_CLASS.get(tissue, "other")), tissue] = 1.0
    return np.stack([_slice_means(volume, table=table, grid=grid) for table in tables])


def attenuation_slices(volume: LabelVolume, *, values: TissueValues, grid: ImageGrid) -> np.ndarray:
    """Linear attenuation coefficient [1/cm], float32, (z, y, x).

    Raises:
        InputError: the head reaches beyond the image.
    """
    require_inside_image(volume, grid=grid)
    return _slice_means(volume, table=value_table(values), grid=grid)


def draw_t1_geometry(
    *,
    shape: tuple[int, int, int],
    voxel_mm: float,
    max_rotation_deg: float,
    max_translation_mm: float,
    rng: np.random.Generator,
) -> T1Geometry:
    """A random rigid motion, and a slightly oblique grid (right, front, top) around the head.

    The rotation vector and the translation have components uniform in plus or minus the given limits.
    """
    motion = np.eye(4)
    rotation_deg = rng.uniform(-max_rotation_deg, max_rotation_deg, 3)
    motion[:3, :3] = Rotation.from_rotvec(rotation_deg, degrees=True).as_matrix()
    motion[:3, 3] = rng.uniform(-max_translation_mm, max_translation_mm, 3)
    tilt_deg = rng.uniform(-MAX_OBLIQUITY_DEG, MAX_OBLIQUITY_DEG, 3)
    affine = np.eye(4)
    affine[:3, :3] = voxel_mm * Rotation.from_rotvec(tilt_deg, degrees=True).as_matrix()
    middle_mm = np.linalg.inv(motion)[:3, 3]  # of the head, which lies in the middle of the PET's world
    affine[:3, 3] = middle_mm - affine[:3, :3] @ ((np.array(shape) - 1) / 2)
    return T1Geometry(shape=shape, affine_ras_mm=affine, t1_to_pet_ras_mm=motion)


def t1_image(
    volume: LabelVolume,
    geometry: T1Geometry,
    *,
    values: TissueValues,
    noise: float,
    rng: np.random.Generator,
) -> np.ndarray:
    """T1-weighted magnitude image (i, j, k), int16: linear samples of the head, with Rician noise.

    ``noise`` is the standard deviation of both channels / the signal of white matter.
    """
    signal = value_table(values)[volume.codes]
    to_voxel = np.linalg.inv(_label_affine(volume)) @ geometry.t1_to_pet_ras_mm @ geometry.affine_ras_mm
    image = ndimage.affine_transform(signal, to_voxel, output_shape=geometry.shape, order=1)
    sigma = np.float32(noise * values.white_matter)
    real, imaginary = (sigma * rng.standard_normal(image.shape, dtype=np.float32) for _ in range(2))
    magnitude = np.hypot(image + real, imaginary)
    return np.rint(T1_UNITS_PER_SIGNAL * magnitude).astype(np.int16)


def _slice_means(volume: LabelVolume, *, table: np.ndarray, grid: ImageGrid) -> np.ndarray:
    per_slice = max(1, round(SAMPLES_PER_SLICE * grid.slice_mm / 2.03125))
    fine = ImageGrid(
        n_slices=grid.n_slices * per_slice,
        n_pixels=grid.n_pixels,
        slice_mm=grid.slice_mm / per_slice,
        pixel_mm=grid.pixel_mm,
    )
    samples = sample_linear(volume, table=table, grid=fine)
    return samples.reshape(grid.n_slices, per_slice, *grid.shape[1:]).mean(axis=1)


def _label_affine(volume: LabelVolume) -> np.ndarray:
    """4x4 matrix from label voxels (z, y, x, 1) to PET world, RAS mm: the middle is the origin."""
    steps = volume.voxel_mm * np.array([1.0, -1.0, 1.0])  # up, to the front, to the right
    affine = np.eye(4)
    affine[:3, :3] = np.diag(steps)[::-1]
    affine[:3, 3] = -affine[:3, :3] @ ((np.array(volume.codes.shape) - 1) / 2)
    return affine
