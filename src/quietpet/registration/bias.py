"""The receive field of a T1 image: N4 bias field correction.

Tustison et al., IEEE Trans Med Imaging 29:1310 (2010), as SimpleITK has it. A field changes how tissues
look from place to place, which mutual information answers with a shift of PET.
"""

from __future__ import annotations

import numpy as np
import SimpleITK as sitk
from scipy import ndimage
from skimage.filters import threshold_otsu

from quietpet.geometry.volume import Volume
from quietpet.registration.head import coarsened, cropped
from quietpet.registration.itk import image, one_thread

_SPACING_MM, _FWHM_MM = 4.0, 4.0
_MARGIN_MM = 10.0
_OF_OTSU = 0.4
"""Air, bone and fluid, whose logarithm is noise, are left out: they draw the field after them."""

_ITERATIONS, _CONVERGENCE = (50, 50, 50), 0.001
_CONTROL_POINTS = 4
"""Iterations per level; of the first level, per axis. Each level halves the distance of the points."""


def bias_field(t1: Volume, inner_head_mm: np.ndarray) -> Volume:
    """By how much T1 is brightened, about 1, on a coarse grid around the inner head, (n, 3) RAS mm.

    The brain alone is looked at, for fat and muscle of the scalp pass for a field. Outside, the field is
    that of the nearest place inside.
    """
    coarse = coarsened(
        cropped(t1, inner_head_mm, margin_mm=_MARGIN_MM), spacing_mm=_SPACING_MM, fwhm_mm=_FWHM_MM
    )
    inside = _marked(inner_head_mm, like=coarse)
    inside &= coarse.values > _OF_OTSU * threshold_otsu(coarse.values[inside])
    corrector = sitk.N4BiasFieldCorrectionImageFilter()
    corrector.SetMaximumNumberOfIterations(_ITERATIONS)
    corrector.SetConvergenceThreshold(_CONVERGENCE)
    corrector.SetNumberOfControlPoints([_CONTROL_POINTS] * 3)
    with one_thread():
        seen = image(coarse)
        mask = image(Volume(values=inside.astype(np.uint8), affine_ras_mm=coarse.affine_ras_mm))
        corrector.Execute(seen, mask)
        logarithm = sitk.GetArrayFromImage(corrector.GetLogBiasFieldAsImage(seen)).transpose(2, 1, 0)
    logarithm -= logarithm[inside].mean()
    nearest = ndimage.distance_transform_edt(~inside, return_distances=False, return_indices=True)
    return Volume(values=np.exp(logarithm[tuple(nearest)]), affine_ras_mm=coarse.affine_ras_mm)


def _marked(positions_mm: np.ndarray, *, like: Volume) -> np.ndarray:
    """The voxels of ``like`` that hold any of the positions, without the holes between these."""
    marked = np.zeros(like.values.shape, bool)
    indices = np.rint(like.indices(positions_mm)).astype(int)
    marked[tuple(np.clip(indices, 0, np.array(marked.shape) - 1).T)] = True
    return ndimage.binary_closing(marked)


def without_bias(t1: Volume, field: Volume) -> Volume:
    """T1 divided by a field; beyond the field's grid, by its border."""
    to_index = np.linalg.inv(field.affine_ras_mm) @ t1.affine_ras_mm
    everywhere = ndimage.affine_transform(
        np.asarray(field.values, np.float32),
        to_index[:3, :3],
        to_index[:3, 3],
        output_shape=t1.values.shape,
        order=1,
        mode="nearest",
    )
    return Volume(values=t1.values / everywhere, affine_ras_mm=t1.affine_ras_mm)
