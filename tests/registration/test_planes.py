"""Slices of a head: where their pixels lie, and that images are read there."""

from __future__ import annotations

import numpy as np
import pytest

from quietpet.geometry.volume import Volume
from quietpet.phantom.slices import rotate
from quietpet.registration.planes import SlicePixels, sampled, smoothed_for
from quietpet.registration.volume import RigidTransform

TILTED = RigidTransform.from_rotation(euler_deg=(10, -5, 20), translation_mm=(3, 4, -6))


def volume(values: np.ndarray, *, voxel_mm: float = 2.0, tilt: RigidTransform | None = None) -> Volume:
    """A volume in RAS order around the origin, its axes tilted in the world."""
    affine = np.diag([voxel_mm] * 3 + [1.0])
    affine[:3, 3] = -voxel_mm * (np.array(values.shape) - 1) / 2
    tilted = affine if tilt is None else tilt.fixed_to_moving @ affine
    return Volume(values=values, affine_ras_mm=tilted)


def grid_of(t1: Volume, **changes: object) -> SlicePixels:
    middle_mm = t1.world_mm((np.array([t1.values.shape]) - 1) / 2)[0]
    return SlicePixels.of(t1, **{"centre_mm": middle_mm, "pixels": 8, "pixel_mm": None, **changes})


def test_rows_run_from_front_to_back_and_columns_to_the_right():
    t1 = volume(np.zeros((9, 11, 13), np.float32))
    at = grid_of(t1).positions_mm(offset_mm=4.0, angle_deg=0.0)
    np.testing.assert_allclose(at[4, 4], (0, 0, 4), atol=1e-9)
    np.testing.assert_allclose(at[4, 5] - at[4, 4], (2, 0, 0), atol=1e-9)
    np.testing.assert_allclose(at[5, 4] - at[4, 4], (0, -2, 0), atol=1e-9)


def test_slices_follow_the_axes_of_t1_and_keep_their_distance_from_its_middle():
    t1 = volume(np.zeros((9, 11, 13), np.float32), tilt=TILTED)
    shifted = t1.world_mm(np.array([[5.0, 6.0, 9.0]]))[0]
    at = grid_of(t1, centre_mm=shifted, pixel_mm=3.0).positions_mm(offset_mm=-2.0, angle_deg=0.0)
    indices = t1.indices(at.reshape(-1, 3)).reshape(8, 8, 3)
    np.testing.assert_allclose(indices[..., 2], 5.0, atol=1e-9)
    np.testing.assert_allclose(indices[4, 4, :2], (5, 6), atol=1e-9)
    np.testing.assert_allclose(indices[4, 5, 0] - indices[4, 4, 0], 1.5, atol=1e-9)


@pytest.mark.parametrize("angle_deg", [0.0, 12.0, -7.0])
def test_a_ramp_is_read_exactly_where_the_transform_says(angle_deg):
    """A function that is linear in the PET's world is linear everywhere: interpolation adds nothing."""
    gradient = np.array([0.3, -0.2, 0.5])
    pet = volume(np.zeros((40, 40, 40), np.float32), voxel_mm=3.0)
    where = pet.world_mm(np.argwhere(np.ones(pet.values.shape)))
    pet = Volume(
        values=(100 + where @ gradient).reshape(pet.values.shape), affine_ras_mm=pet.affine_ras_mm
    )
    at = grid_of(volume(np.zeros((9, 11, 13)), tilt=TILTED)).positions_mm(
        offset_mm=4.0, angle_deg=angle_deg
    )
    expected = 100 + TILTED.apply(at.reshape(-1, 3)).reshape(at.shape) @ gradient
    np.testing.assert_allclose(sampled(pet, at, through=TILTED), expected, rtol=1e-5)


def test_angles_turn_as_those_of_phantom_slices_do():
    rng = np.random.default_rng(0)
    smooth = np.kron(rng.random((8, 8)), np.ones((8, 8))).astype(np.float32)
    t1 = volume(np.repeat(np.flip(smooth, 0).T[..., None], 3, axis=2), voxel_mm=1.0)
    # The middle of a phantom slice is pixel (32, 32), which here is index (32, 31).
    centre_mm = t1.world_mm(np.array([[32.0, 31.0, 1.0]]))[0]
    grid = grid_of(t1, centre_mm=centre_mm, pixels=64)
    turned = sampled(t1, grid.positions_mm(offset_mm=0.0, angle_deg=14.0))
    expected = rotate(smooth[None], 14.0, order=1)[0]
    np.testing.assert_allclose(turned[12:52, 12:52], expected[12:52, 12:52], atol=1e-4)


def test_what_lies_outside_is_zero():
    t1 = volume(np.ones((9, 11, 13), np.float32))
    at = grid_of(t1, pixels=32).positions_mm(offset_mm=0.0, angle_deg=0.0)
    assert sampled(t1, at)[0, 0] == 0
    assert sampled(t1, at)[16, 16] == pytest.approx(1)


@pytest.mark.parametrize("pixel_mm", [1.0, 1.4, 2.0, 2.08626, 3.0, 3.7, 4.0, 6.5])
@pytest.mark.parametrize("voxel_mm", [0.7, 1.0, 2.0])
def test_smoothing_moves_nothing(pixel_mm, voxel_mm):
    """A Gaussian keeps its mass and its centroid, and its variance grows by that of the box.

    The standard deviation of a box is width / sqrt(12); that of its parts, gathered at the centres of
    voxels, differs by no more than what gathering moves them, 1 / sqrt(12) voxels on average.
    """
    image = volume(np.zeros((80, 80, 3), np.float32), voxel_mm=voxel_mm)
    where = image.world_mm(np.argwhere(np.ones(image.values.shape))).reshape(*image.values.shape, 3)
    centre_mm, sigma_mm = (3 * voxel_mm, -2 * voxel_mm), 3 * voxel_mm
    square_mm2 = np.sum((where[..., :2] - centre_mm) ** 2, axis=-1)
    blob = Volume(
        values=np.exp(-square_mm2 / (2 * sigma_mm**2)).astype(np.float32),
        affine_ras_mm=image.affine_ras_mm,
    )
    smooth = smoothed_for(blob, pixel_mm)
    weights = smooth.values.astype(float)[..., None]
    assert weights.sum() == pytest.approx(float(blob.values.astype(float).sum()), rel=1e-5)
    centroid = np.sum(weights * where, axis=(0, 1, 2)) / weights.sum()
    np.testing.assert_allclose(centroid[:2], centre_mm, atol=1e-4)
    variance = np.sum(weights * (where - centroid) ** 2, axis=(0, 1, 2)) / weights.sum()
    added = np.sqrt(np.maximum(variance[:2] - sigma_mm**2, 0)) / voxel_mm
    assert added == pytest.approx(
        pixel_mm / voxel_mm / np.sqrt(12) if pixel_mm > voxel_mm else 0, abs=0.29
    )


def test_a_smoothed_mark_is_packed_where_it_was():
    """One voxel at (3, -2) mm, seen through pixels of the mMR: its centroid stays there."""
    t1 = volume(np.zeros((41, 41, 5), np.float32), voxel_mm=1.0)
    t1.values[23, 18] = 1.0
    grid = grid_of(t1, pixels=16, pixel_mm=2.08626)
    # An even and fine sampling, so that the centroid does not depend on where pixels fall.
    fine = grid_of(t1, pixels=320, pixel_mm=0.1)
    at = fine.positions_mm(offset_mm=0.0, angle_deg=0.0)
    seen = sampled(smoothed_for(t1, grid.pixel_mm), at)[..., None]
    centroid = (seen * at).sum(axis=(0, 1)) / seen.sum()
    np.testing.assert_allclose(centroid[:2], (3.0, -2.0), atol=0.01)


def test_smoothing_averages_what_one_pixel_covers():
    """The mean of an edge over a box: the part of the box that lies beyond it."""
    edge = np.zeros((16, 16, 4), np.float32)
    edge[8:] = 1.0
    smooth = smoothed_for(volume(edge, voxel_mm=1.0), pixel_mm=2.0)
    np.testing.assert_allclose(smooth.values[6:10, 8, 2], [0, 0.25, 0.75, 1])
    np.testing.assert_array_equal(smoothed_for(volume(edge), pixel_mm=2.0).values, edge)
