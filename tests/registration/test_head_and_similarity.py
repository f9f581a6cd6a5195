"""Coarse copies, the outline of the head, and normalised mutual information."""

from __future__ import annotations

import numpy as np
import pytest

from quietpet.registration.head import coarsened, cropped, head_mm
from quietpet.registration.similarity import Similarity, starting_transform
from quietpet.registration.volume import RigidTransform, Volume

RNG = np.random.default_rng(7)
AFFINE = RigidTransform.from_rotation(
    euler_deg=(10, -5, 20), translation_mm=(-60, 40, 30)
).fixed_to_moving @ np.diag([-2.0, 1.5, 3.0, 1.0])


def volume(values, affine=AFFINE):
    return Volume(values=np.asarray(values, np.float32), affine_ras_mm=affine)


def world(like):
    return like.world_mm(np.argwhere(np.ones(like.values.shape, bool)))


def ball(centre_mm, *, radius_mm=40.0, shape=(80, 90, 60)):
    """One inside a ball and a dim speck far from it, on an oblique, mirrored grid."""
    grid = volume(np.zeros(shape))
    distance = np.linalg.norm(world(grid) - centre_mm, axis=1).reshape(shape)
    values = (distance < radius_mm).astype(np.float32)
    values[0, 0, 0] = 1
    return volume(values)


def test_coarse_copies_keep_uniform_images_and_ramps():
    fine = volume(np.zeros((60, 70, 40)))
    slope = np.array([0.3, -0.2, 0.1])
    for values in (np.full(len(world(fine)), 3.0), world(fine) @ slope):
        coarse = coarsened(volume(values.reshape(fine.values.shape)), spacing_mm=5.0, fwhm_mm=6.0)
        np.testing.assert_allclose(coarse.voxel_mm, 5.0)
        expected = (world(coarse) @ slope if values.std() else np.full(coarse.values.size, 3.0)).reshape(
            coarse.values.shape
        )
        inner = (slice(3, -3),) * 3  # kernels of the outermost points are cut
        np.testing.assert_allclose(coarse.values[inner], expected[inner], atol=1e-3)


def test_axes_that_are_coarse_already_keep_their_voxels():
    coarse = coarsened(volume(RNG.random((30, 30, 10))), spacing_mm=2.5, fwhm_mm=5.0)
    np.testing.assert_allclose(coarse.voxel_mm, [2.5, 2.5, 3.0])


def test_the_head_is_the_largest_region():
    centre = volume(np.zeros((80, 90, 60))).world_mm(np.array([[40.0, 45.0, 30.0]]))[0]
    positions = head_mm(ball(centre))
    np.testing.assert_allclose(positions.mean(axis=0), centre, atol=0.5)
    volume_mm3 = len(positions) * 4.0**3
    # Smoothing and a low threshold put the outline up to 4 mm outside.
    assert 4 / 3 * np.pi * 40**3 < volume_mm3 < 4 / 3 * np.pi * 44**3
    assert np.linalg.norm(positions - centre, axis=1).max() < 45


def test_a_cut_moves_no_voxel():
    whole = volume(RNG.random((30, 30, 30)))
    around = whole.world_mm(np.array([[10.0, 12.0, 14.0], [15.2, 16.0, 20.0]]))
    part = cropped(whole, around, margin_mm=3.0)
    np.testing.assert_array_equal(part.voxel_mm, whole.voxel_mm)
    # margins of 1.5, 2 and 1 voxels
    np.testing.assert_array_equal(part.values, whole.values[8:18, 10:19, 13:22])
    there = whole.indices(part.world_mm(np.array([[0.0, 0.0, 0.0]])))
    np.testing.assert_allclose(there, [[8, 10, 13]], atol=1e-9)


def test_nmi_of_equal_and_of_independent_images():
    values = RNG.random((40, 40, 40))
    assert nmi(values, values) == pytest.approx(2)
    assert nmi(values, 1 - values) == pytest.approx(2, abs=1e-3)
    # 32 x 32 bins of n independent samples: mutual information of 31^2 / (2 n) by chance
    chance = 31**2 / (2 * 64000) / (2 * np.log(32))
    assert nmi(values, RNG.random((40, 40, 40))) == pytest.approx(1 + chance, rel=2e-3)


def test_nmi_needs_overlap():
    values = RNG.random((20, 20, 20))
    assert nmi(values, values, shift_mm=12.0) > 1
    assert nmi(values, values, shift_mm=16.0) == 1


def nmi(first, second, *, shift_mm=0.0):
    """Of two images on 1-mm voxels, hardly smoothed."""
    pair = (volume(each, np.eye(4)) for each in (first, second))
    shift = RigidTransform.from_rotation(translation_mm=(shift_mm, 0, 0))
    return Similarity.of(*pair, spacing_mm=1.0, fwhm_mm=0.1).nmi(shift)


@pytest.mark.parametrize("shift_mm", [0.0, 300.0])
def test_the_start_takes_the_headers_or_the_centres(shift_mm):
    """A header whose origin is far away costs nothing; a right one is kept."""
    values = np.zeros((60, 60, 60), np.float32)
    values[10:50, 15:40, 20:45] = 1
    values[15:30, 20:30, 25:35] = 3
    fixed = volume(values, np.diag([3.0, 3.0, 3.0, 1.0]))
    affine = fixed.affine_ras_mm.copy()
    affine[:3, 3] += shift_mm
    moving = volume(values, affine)
    start = starting_transform(
        fixed,
        moving,
        fixed_centre_mm=head_mm(fixed).mean(axis=0),
        moving_centre_mm=head_mm(moving).mean(axis=0),
    )
    np.testing.assert_allclose(start.fixed_to_moving[:3, 3], shift_mm, atol=1e-6)
    assert start.rotation_deg == pytest.approx(0, abs=1e-6)
