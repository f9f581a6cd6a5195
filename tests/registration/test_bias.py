"""The receive field of T1 is found within a few per cent, and none where there is none."""

from __future__ import annotations

import numpy as np
import pytest
import SimpleITK as sitk
from registration_pairs import bias_field as drawn_field

from quietpet.geometry.volume import Volume
from quietpet.registration.bias import bias_field, without_bias
from quietpet.registration.head import head_mask, inner_head_mm

AFFINE = np.diag([-4.0, 4.0, 4.0, 1.0])
SHAPE = (46, 46, 46)


def head() -> Volume:
    """A ball of 80 mm with a bright scalp, folded grey and white matter, and 3 % noise."""
    x, y, z = 4.0 * (np.indices(SHAPE) - 22.5)
    radius = np.sqrt(x**2 + y**2 + z**2)
    folds = np.sin(x / 9) + np.sin(y / 11) + np.sin(z / 10)
    signal = np.select([radius > 80, radius > 74, radius > 68, folds > 0], [0.0, 1.6, 0.1, 1.0], 0.65)
    noise = 0.03 * np.random.default_rng(5).standard_normal(SHAPE)
    return Volume(values=np.maximum(signal + noise, 0).astype(np.float32), affine_ras_mm=AFFINE)


def found_in(t1: Volume) -> Volume:
    return bias_field(t1, inner_head_mm(head_mask(t1)))


@pytest.mark.parametrize(("bias", "most"), [(0.0, 0.015), (0.2, 0.03)])
def test_what_is_left_of_a_field(bias, most):
    """Standard deviation in the brain: of 8 per cent, 3 are left; where there was none, 1.5 appear."""
    plain = head()
    x, y, z = 4.0 * (np.indices(SHAPE) - 22.5)
    brain = (x**2 + y**2 + z**2 < 64**2) & (plain.values > 0.3)
    field = drawn_field(brain, AFFINE, bias=bias, name="test")
    t1 = Volume(values=plain.values * field, affine_ras_mm=AFFINE)
    corrected = without_bias(t1, found_in(t1))
    assert spread(field[brain]) > 0.06 or not bias
    assert spread(corrected.values[brain] / plain.values[brain]) < most


def spread(factors: np.ndarray) -> float:
    """Standard deviation of the logarithm: a constant factor tells nothing."""
    return float(np.log(factors).std())


def test_the_number_of_cores_changes_no_field():
    before = sitk.ProcessObject.GetGlobalDefaultNumberOfThreads()
    once = found_in(head()).values
    sitk.ProcessObject.SetGlobalDefaultNumberOfThreads(3)
    try:
        np.testing.assert_array_equal(found_in(head()).values, once)
    finally:
        sitk.ProcessObject.SetGlobalDefaultNumberOfThreads(before)


def test_beyond_its_grid_a_field_goes_on():
    """A plane field of two voxels, spread over a grid that is larger: never 0, never divided by 0."""
    field = Volume(values=np.full((2, 2, 2), 2.0), affine_ras_mm=np.eye(4))
    affine = np.diag([1.0, 1.0, 1.0, 1.0])
    affine[:3, 3] = -5
    t1 = Volume(values=np.ones((12, 12, 12), np.float32), affine_ras_mm=affine)
    np.testing.assert_allclose(without_bias(t1, field).values, 0.5)
