"""Offline phantoms: random anatomies made from the ICBM152 template that nilearn ships.

The T1, grey- and white-matter maps (Fonov et al., NeuroImage 54 (2011) 313) come with the installed
nilearn package. They are warped smoothly and invertibly, and given a skull and a scalp, which they lack.
The volumes cover the same MNI frame as BrainWeb's, so that a slice index means the same height.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from quietpet.config.phantoms import TemplateSettings
from quietpet.errors import InputError
from quietpet.phantom.tissues import CENTRE_MNI_MM, LabelVolume, Tissue
from quietpet.units import sigma_from_fwhm

SHAPE = (201, 241, 201)
"""Voxels (z, y, x) of 1 mm: room for a head larger than the template by a sixth."""

_KNOTS_PER_FWHM = 4
_CSF_BELOW_T1 = 0.5
"""T1 (white matter near 1) under which a brain voxel is fluid: the sulci, which the maps call grey."""


@dataclass(frozen=True, kw_only=True)
class TemplateMaps:
    """The template on its own 1-mm grid, (z, y, x), y from anterior to posterior, float32.

    ``centre`` is the index of CENTRE_MNI_MM.
    """

    t1: np.ndarray
    grey_matter: np.ndarray
    white_matter: np.ndarray
    brain: np.ndarray
    centre: tuple[float, float, float]


def load_template() -> TemplateMaps:
    """The maps of the installed nilearn package; nothing is downloaded."""
    from nilearn import datasets  # noqa: PLC0415 (slow, and BrainWeb phantoms do without)

    images = [
        load(resolution=1)
        for load in (
            datasets.load_mni152_template,
            datasets.load_mni152_gm_template,
            datasets.load_mni152_wm_template,
            datasets.load_mni152_brain_mask,
        )
    ]
    t1, grey, white, brain = (
        np.asarray(image.dataobj, np.float32).transpose(2, 1, 0)[:, ::-1] for image in images
    )
    z, y, x = CENTRE_MNI_MM
    column, row, plane, _ = np.linalg.solve(images[0].affine, (x, y, z, 1.0))
    centre = (plane, t1.shape[1] - 1 - row, column)
    return TemplateMaps(t1=t1, grey_matter=grey, white_matter=white, brain=brain, centre=centre)


def template_volume(
    maps: TemplateMaps, *, settings: TemplateSettings, rng: np.random.Generator
) -> LabelVolume:
    """One random anatomy.

    Raises:
        InputError: the settings ask for a warp that folds, or for a head beyond the volume.
    """
    mni_mm = tuple(warp(settings=settings, rng=rng))
    source = [
        position + np.float32(centre) for position, centre in zip(mni_mm, maps.centre, strict=True)
    ]
    brain = ndimage.map_coordinates(maps.brain, source, order=1) > 0.5
    within = np.stack([positions[brain] for positions in source])
    t1, grey, white = (
        ndimage.map_coordinates(image, within, order=1)
        for image in (maps.t1, maps.grey_matter, maps.white_matter)
    )
    codes = shells(brain, settings=settings)
    codes[brain] = tissue_codes(t1=t1, grey_matter=grey, white_matter=white)
    if any(codes[:, edge].any() or codes[:, :, edge].any() for edge in (0, -1)) or codes[-1].any():
        raise InputError(
            "phantoms.template: the head outgrows the volume; "
            "lower scale_sd, warp_rms_mm or the thickness of the shells."
        )
    return LabelVolume(codes=codes, voxel_mm=1.0, mni_mm=mni_mm)


def warp(*, settings: TemplateSettings, rng: np.random.Generator) -> list[np.ndarray]:
    """Template position (z, y, x) of every voxel, in mm from the centre: three arrays of SHAPE.

    Axis scales times the identity, plus white noise smoothed by a Gaussian and scaled to its
    root-mean-square length.

    Raises:
        InputError: the Jacobian determinant is not positive everywhere.
    """
    scales = 1.0 + settings.scale_sd * rng.standard_normal(3)
    axes_mm = [np.arange(n, dtype=np.float32) - (n - 1) / 2 for n in SHAPE]
    sigma_mm = sigma_from_fwhm(settings.warp_fwhm_mm)
    knots_mm = [_knots(axis_mm, settings.warp_fwhm_mm) for axis_mm in axes_mm]
    bases = [_basis(a, k, sigma_mm) for a, k in zip(axes_mm, knots_mm, strict=True)]
    slopes = [_basis_slope(a, k, sigma_mm) for a, k in zip(axes_mm, knots_mm, strict=True)]
    noise = rng.standard_normal((3, *(knots.size for knots in knots_mm))).astype(np.float32)
    shifts = [_expand(component, bases) for component in noise]
    gain = np.float32(settings.warp_rms_mm / np.sqrt(sum(np.mean(shift**2) for shift in shifts)))
    if not _determinant(noise * gain, bases, slopes, scales).min() > 0:
        raise InputError(
            f"phantoms.template: a warp of warp_rms_mm = {settings.warp_rms_mm} and warp_fwhm_mm = "
            f"{settings.warp_fwhm_mm} folds the anatomy; lower the first or raise the second."
        )
    positions_mm = np.meshgrid(*axes_mm, indexing="ij", sparse=True)
    return [
        position_mm / np.float32(scale) + gain * shift
        for position_mm, scale, shift in zip(positions_mm, scales, shifts, strict=True)
    ]


def tissue_codes(*, t1: np.ndarray, grey_matter: np.ndarray, white_matter: np.ndarray) -> np.ndarray:
    """The likeliest of grey matter, white matter and CSF at every voxel, uint8."""
    rest = 1.0 - grey_matter - white_matter
    fluid = (rest > np.maximum(grey_matter, white_matter)) | (t1 < _CSF_BELOW_T1)
    brain = np.where(grey_matter >= white_matter, Tissue.GREY_MATTER, Tissue.WHITE_MATTER)
    return np.where(fluid, Tissue.CSF, brain).astype(np.uint8)


def shells(brain: np.ndarray, *, settings: TemplateSettings) -> np.ndarray:
    """CSF, skull, scalp and air around ``brain``, by distance from it (1-mm voxels), uint8.

    Inside the mask the code is that of air.
    """
    distance_mm = ndimage.distance_transform_edt(~brain)
    thicknesses_mm = (0.0, settings.csf_mm, settings.skull_mm, settings.scalp_mm)
    layers = np.array([Tissue.AIR, Tissue.CSF, Tissue.SKULL, Tissue.SKIN, Tissue.AIR], np.uint8)
    return layers[np.searchsorted(np.cumsum(thicknesses_mm), distance_mm)]


def _knots(axis_mm: np.ndarray, fwhm_mm: float) -> np.ndarray:
    """Positions of the noise samples, reaching one FWHM beyond the axis on either side."""
    spacing_mm = fwhm_mm / _KNOTS_PER_FWHM
    n = int(np.ceil((axis_mm[-1] + fwhm_mm) / spacing_mm))
    return (np.arange(-n, n + 1) * spacing_mm).astype(np.float32)


def _basis(axis_mm: np.ndarray, knots_mm: np.ndarray, sigma_mm: float) -> np.ndarray:
    """Gaussians around the knots, at the positions: shape (positions, knots)."""
    return np.exp(-0.5 * ((axis_mm[:, None] - knots_mm) / np.float32(sigma_mm)) ** 2)


def _basis_slope(axis_mm: np.ndarray, knots_mm: np.ndarray, sigma_mm: float) -> np.ndarray:
    """Derivative [1/mm] of :func:`_basis` along the axis."""
    distance_mm = axis_mm[:, None] - knots_mm
    return -distance_mm / np.float32(sigma_mm**2) * _basis(axis_mm, knots_mm, sigma_mm)


def _expand(component: np.ndarray, bases: Sequence[np.ndarray]) -> np.ndarray:
    """Sum of separable basis functions weighted by ``component`` (knots per axis)."""
    return np.einsum("abc,za,yb,xc->zyx", component, *bases, optimize=True)


def _determinant(
    noise: np.ndarray, bases: Sequence[np.ndarray], slopes: Sequence[np.ndarray], scales: np.ndarray
) -> np.ndarray:
    """Jacobian determinant of the warp at every voxel, from the exact derivatives of its basis."""
    jacobian = {}
    for row, column in itertools.product(range(3), repeat=2):
        mixed = [slopes[axis] if axis == column else bases[axis] for axis in range(3)]
        jacobian[row, column] = _expand(noise[row], mixed)
        if row == column:
            jacobian[row, column] += np.float32(1 / scales[row])
    return sum(
        jacobian[0, i] * (jacobian[1, j] * jacobian[2, k] - jacobian[1, k] * jacobian[2, j])
        for i, j, k in ((0, 1, 2), (1, 2, 0), (2, 0, 1))
    )
