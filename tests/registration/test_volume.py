"""Rigid transforms and resampling, against closed forms."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from quietpet.errors import InputError
from quietpet.geometry.volume import Volume
from quietpet.registration.volume import RigidTransform, require_image, resample

ANGLES = st.tuples(*[st.floats(-180, 180)] * 3)
SHIFTS = st.tuples(*[st.floats(-50, 50)] * 3)
POINTS_MM = np.array([[0.0, 0.0, 0.0], [90.0, -10.0, 4.0], [-30.0, 70.0, -50.0], [1.0, 2.0, 80.0]])

ORIENTATIONS = [
    (order, signs)
    for order in itertools.permutations(range(3))
    for signs in itertools.product((1, -1), repeat=3)
]
"""All 48 ways in which array axes may lie along the body's."""


def empty(shape, affine):
    return Volume(values=np.zeros(shape, np.float32), affine_ras_mm=affine)


def oriented(order, signs, *, shape, voxel_mm, tilt=(0.0, 0.0, 0.0)):
    """A grid about the origin whose axis i runs along ``order[i]``, in the direction of its sign."""
    axes = np.zeros((4, 4))
    axes[3, 3] = 1
    for index, (axis, sign, step) in enumerate(zip(order, signs, voxel_mm, strict=True)):
        axes[axis, index] = sign * step
    axes[:3, 3] = -axes[:3, :3] @ ((np.array(shape) - 1) / 2)
    return empty(shape, RigidTransform.from_rotation(euler_deg=tilt).fixed_to_moving @ axes)


def positions(volume):
    """World positions of all voxels, (*shape, 3)."""
    indices = np.stack(np.indices(volume.values.shape), axis=-1)
    return volume.world_mm(indices.reshape(-1, 3)).reshape(*volume.values.shape, 3)


@given(ANGLES, SHIFTS, ANGLES, SHIFTS)
def test_composition_and_inverse(first_deg, first_mm, second_deg, second_mm):
    first = RigidTransform.from_rotation(euler_deg=first_deg, translation_mm=first_mm)
    second = RigidTransform.from_rotation(
        euler_deg=second_deg, translation_mm=second_mm, centre_mm=(5.0, 6.0, 7.0)
    )
    np.testing.assert_allclose(
        (second @ first).apply(POINTS_MM), second.apply(first.apply(POINTS_MM)), atol=1e-9
    )
    there_and_back = second.inverse.apply(second.apply(POINTS_MM))
    np.testing.assert_allclose(there_and_back, POINTS_MM, atol=1e-9)


@pytest.mark.parametrize(("axis", "moved"), [(0, [0, 0, 1]), (1, [0, 1, 0]), (2, [-1, 0, 0])])
def test_rotations_are_right_handed(axis, moved):
    """By 90 degrees about x, y or z, the unit vector of y goes to z, y and -x."""
    euler = np.zeros(3)
    euler[axis] = 90
    turned = RigidTransform.from_rotation(euler_deg=euler)
    np.testing.assert_allclose(turned.apply(np.array([[0.0, 1.0, 0.0]]))[0], moved, atol=1e-12)
    assert turned.rotation_deg == pytest.approx(90)


def test_rotation_is_about_the_centre():
    centre = np.array([10.0, -20.0, 30.0])
    turned = RigidTransform.from_rotation(
        euler_deg=(10, 20, 30), translation_mm=(1, 2, 3), centre_mm=centre
    )
    np.testing.assert_allclose(turned.apply(centre[None])[0], (11, -18, 33))


def test_distance_of_a_rotation_is_its_chord():
    """2 r sin(angle / 2), r from the axis."""
    turned = RigidTransform.from_rotation(euler_deg=(0, 0, 12))
    radius = np.hypot(POINTS_MM[:, 0], POINTS_MM[:, 1])
    np.testing.assert_allclose(
        turned.distance_mm(RigidTransform.identity(), POINTS_MM), 2 * radius * np.sin(np.radians(6))
    )


@pytest.mark.parametrize(
    "matrix",
    [np.diag([-1.0, 1, 1, 1]), np.diag([1.01, 1, 1, 1]), np.full((4, 4), np.nan), np.eye(3)],
    ids=["mirror", "scale", "nan", "3x3"],
)
def test_what_is_not_rigid_is_refused(matrix):
    with pytest.raises(ValueError, match=r"not a"):
        RigidTransform(fixed_to_moving=matrix)


@pytest.mark.parametrize(("order", "signs"), ORIENTATIONS[::5])
def test_a_linear_ramp_is_resampled_exactly(order, signs):
    """Trilinear interpolation reproduces a . x + b between voxel centres, and 0 is outside."""
    slope, offset = np.array([0.3, -0.2, 0.5]), 40.0
    moving = oriented(order, signs, shape=(30, 24, 20), voxel_mm=(2.0, 2.5, 3.0), tilt=(8, -5, 3))
    ramp = (positions(moving) @ slope + offset).astype(np.float32)
    moving = Volume(values=ramp, affine_ras_mm=moving.affine_ras_mm)
    fixed = oriented(order[::-1], signs, shape=(33, 31, 35), voxel_mm=(1.9, 2.1, 1.7), tilt=(-4, 9, 2))
    transform = RigidTransform.from_rotation(euler_deg=(15, -10, 20), translation_mm=(6, -7, 8))
    found = resample(moving, transform, like=fixed)
    there = transform.apply(positions(fixed).reshape(-1, 3))
    inside = moving.contains(there)
    assert 0.2 < inside.mean() < 0.9
    values = found.values.ravel()
    np.testing.assert_allclose(values[inside], there[inside] @ slope + offset, atol=2e-4)
    assert not values[~inside].any()
    np.testing.assert_array_equal(found.affine_ras_mm, fixed.affine_ras_mm)


@pytest.mark.parametrize(("order", "signs"), ORIENTATIONS)
def test_left_stays_left_whatever_the_orientation(order, signs):
    """A hot spot to the right, front and top is where it was, in every orientation of the array."""
    spot_mm = np.array([20.0, 12.0, 8.0])
    moving = oriented(order, signs, shape=(25, 25, 25), voxel_mm=(4.0, 4.0, 4.0))
    distance = np.linalg.norm(positions(moving) - spot_mm, axis=-1)
    moving = Volume(values=(distance < 1).astype(np.float32), affine_ras_mm=moving.affine_ras_mm)
    assert moving.values.sum() == 1
    fixed = oriented((0, 1, 2), (-1, -1, 1), shape=(25, 25, 25), voxel_mm=(4.0, 4.0, 4.0))
    found = resample(moving, RigidTransform.identity(), like=fixed)
    hottest = np.array(np.unravel_index(found.values.argmax(), found.values.shape))
    np.testing.assert_allclose(fixed.world_mm(hottest[None])[0], spot_mm)


def test_resampled_pet_is_never_negative_nor_above_its_maximum():
    noisy = np.random.default_rng(0).poisson(0.3, (20, 20, 20)).astype(np.float32)
    affine = np.diag([2.0, 2.0, 2.0, 1.0])
    transform = RigidTransform.from_rotation(euler_deg=(9, 9, 9), centre_mm=(19, 19, 19))
    found = resample(
        Volume(values=noisy, affine_ras_mm=affine), transform, like=empty((40, 40, 40), np.eye(4))
    )
    assert found.values.min() >= 0
    assert found.values.max() <= noisy.max()


def test_contains_reaches_to_the_outermost_voxel_centres():
    volume = empty((3, 3, 3), np.diag([-2.0, 2.0, 2.0, 1.0]))
    inside = volume.contains(np.array([[-4.0, 4.0, 4.0], [-4.01, 4, 4], [0.01, 0, 0], [0, 0, 0]]))
    np.testing.assert_array_equal(inside, [True, False, False, True])


def test_on_its_own_grid_an_image_keeps_its_borders():
    """Headers hold single precision, so that the grid of one file is rarely quite that of another."""
    tilt = RigidTransform.from_rotation(euler_deg=(12, -7, 31), translation_mm=(4, -9, 15))
    affine = tilt.fixed_to_moving @ np.diag([-1.1, 1.3, 2.7, 1.0])
    values = 1 + np.random.default_rng(0).random((30, 40, 20), np.float32)
    pet = Volume(values=values, affine_ras_mm=affine)
    like = empty(values.shape, affine.astype(np.float32).astype(float))
    found = resample(pet, RigidTransform.identity(), like=like).values
    np.testing.assert_allclose(found, values, atol=1e-3)
    beyond = RigidTransform.from_rotation(translation_mm=0.01 * affine[:3, 0])
    cut = resample(pet, beyond, like=like).values
    np.testing.assert_array_equal(cut[-1], 0)
    assert (cut[:-1] > 0).all()


@pytest.mark.parametrize(
    ("values", "complaint"),
    [
        ([0.0, np.nan, np.inf], r"pet\.nii: 2 of 3 voxels are not finite"),
        ([5.0, 5.0, 5.0], r"pet\.nii: every voxel is 5"),
    ],
)
def test_images_without_information_are_refused(values, complaint):
    volume = Volume(values=np.array(values).reshape(3, 1, 1), affine_ras_mm=np.eye(4))
    with pytest.raises(InputError, match=complaint):
        require_image(volume, "pet.nii")


def test_a_series_is_no_volume():
    with pytest.raises(ValueError, match="three axes, not 4"):
        Volume(values=np.zeros((2, 2, 2, 2)), affine_ras_mm=np.eye(4))
