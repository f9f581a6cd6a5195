"""Rigid registration by SimpleITK: Mattes' mutual information, coarse to fine.

Mattes et al., Proc SPIE 4322:1609 (2001); Lowekamp et al., Front Neuroinform 7:45 (2013). Powell's
method is used because gradient descent stops early on noisy PET. The metric's samples are seeded and
summed by one thread, so that a result is the same on every number of cores.
"""

from __future__ import annotations

import numpy as np
import SimpleITK as sitk

from quietpet.geometry.volume import Volume
from quietpet.registration.head import coarsened, cropped
from quietpet.registration.itk import LPS_FROM_RAS, image, one_thread
from quietpet.registration.volume import RigidTransform

_LEVELS = ((8.0, 8.0, 1.0), (4.0, 6.0, 0.5), (2.5, 3.0, 0.3))
"""Grid spacing [mm], smoothing FWHM [mm] and part of the grid points that are sampled, per level.

Blur displaces the maximum of the mutual information: PET of a round head seems too low. The last level
adds little to the blur that PET has; still less would follow the noise of short images.
"""

_BINS = 64
"""Of each image, over its whole range; with 32, grey and white matter of a noisy PET share few."""
_SEED = 20260101
_MARGIN_MM = 15.0
_RADIUS_MM = 60.0
"""A radian at this distance weighs as much as this many millimetres, a head's radius of gyration."""
_ROUNDS, _LINE_STEPS = 10, 50
_PARAMETER_TOLERANCE_MM, _METRIC_TOLERANCE = 0.01, 1e-4


def version() -> str:
    """Name and version of the engine."""
    return f"SimpleITK {sitk.Version.VersionString()}"


def estimate(
    fixed: Volume,
    moving: Volume,
    *,
    start: RigidTransform,
    fixed_head_mm: np.ndarray,
    moving_head_mm: np.ndarray,
) -> RigidTransform:
    """The rigid transform of greatest mutual information near ``start``.

    Only the surroundings of the heads, positions (n, 3) in RAS mm, are looked at.
    """
    fixed = cropped(fixed, fixed_head_mm, margin_mm=_MARGIN_MM)
    moving = cropped(moving, moving_head_mm, margin_mm=_MARGIN_MM)
    transform = _to_itk(start, centre_mm=fixed_head_mm.mean(axis=0))
    with one_thread():
        for spacing_mm, fwhm_mm, sampled in _LEVELS:
            images = (
                coarsened(each, spacing_mm=spacing_mm, fwhm_mm=fwhm_mm) for each in (fixed, moving)
            )
            _method(transform, step_mm=spacing_mm / 4, sampled=sampled).Execute(*map(image, images))
    return _from_itk(transform)


def _method(
    transform: sitk.Euler3DTransform, *, step_mm: float, sampled: float
) -> sitk.ImageRegistrationMethod:
    method = sitk.ImageRegistrationMethod()
    method.SetMetricAsMattesMutualInformation(_BINS)
    # Points are moved at random within their voxels: on a plain grid the metric prefers whole voxels.
    method.SetMetricSamplingStrategy(method.REGULAR)
    method.SetMetricSamplingPercentage(sampled, _SEED)
    method.SetInterpolator(sitk.sitkLinear)
    method.SetOptimizerAsPowell(
        numberOfIterations=_ROUNDS,
        maximumLineIterations=_LINE_STEPS,
        stepLength=step_mm,
        stepTolerance=_PARAMETER_TOLERANCE_MM,
        valueTolerance=_METRIC_TOLERANCE,
    )
    method.SetOptimizerScales([_RADIUS_MM] * 3 + [1.0] * 3)
    method.SetInitialTransform(transform, inPlace=True)
    return method


def _to_itk(transform: RigidTransform, *, centre_mm: np.ndarray) -> sitk.Euler3DTransform:
    """The same transform in LPS, as a rotation about ``centre_mm`` (RAS) and a translation."""
    matrix = LPS_FROM_RAS @ transform.fixed_to_moving @ LPS_FROM_RAS
    centre = LPS_FROM_RAS[:3, :3] @ centre_mm
    found = sitk.Euler3DTransform()
    found.SetCenter(centre.tolist())
    found.SetMatrix(matrix[:3, :3].ravel().tolist(), 1e-6)
    found.SetTranslation((matrix[:3, :3] @ centre + matrix[:3, 3] - centre).tolist())
    return found


def _from_itk(transform: sitk.Euler3DTransform) -> RigidTransform:
    """x -> A (x - c) + c + t in LPS, as one matrix in RAS."""
    matrix, centre = np.eye(4), np.array(transform.GetCenter())
    matrix[:3, :3] = np.reshape(transform.GetMatrix(), (3, 3))
    matrix[:3, 3] = centre + transform.GetTranslation() - matrix[:3, :3] @ centre
    return RigidTransform(fixed_to_moving=LPS_FROM_RAS @ matrix @ LPS_FROM_RAS)
