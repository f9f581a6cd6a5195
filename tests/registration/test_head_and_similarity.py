"""Coarse copies, the outline of the head, and normalised mutual information."""

from __future__ import annotations

import numpy as np
import pytest

from quietpet.errors import InputError
from quietpet.geometry.volume import Volume
from quietpet.registration.head import clipped, coarsened, cropped, head_mask, head_mm, inner_head_mm
from quietpet.registration.similarity import SEARCH, Similarity, starting_transform
from quietpet.registration.volume import RigidTransform

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


@pytest.mark.parametrize("times", [1.0, 100.0, 1000.0])
def test_a_hot_lesion_moves_no_head(times):
    """Of 4 cm^3, at the rim: the outline stays, and so does the histogram of the rest."""
    centre = volume(np.zeros((80, 90, 60))).world_mm(np.array([[40.0, 45.0, 30.0]]))[0]
    head = ball(centre, radius_mm=50.0)
    lesion = np.linalg.norm(world(head) - centre - (35, 0, 0), axis=1).reshape(head.values.shape) < 10
    hot = volume(np.where(lesion, times, head.values))
    plain = head_mm(head)
    found = head_mm(hot)
    np.testing.assert_allclose(found.mean(axis=0), plain.mean(axis=0), atol=0.5)
    assert len(found) == pytest.approx(len(plain), rel=0.03)
    np.testing.assert_array_equal(np.minimum(clipped(hot).values, 1.0), np.minimum(hot.values, 1.0))
    assert clipped(hot).values.max() <= 2.0


def test_clipping_depends_neither_on_air_nor_on_units():
    centre = volume(np.zeros((80, 90, 60))).world_mm(np.array([[40.0, 45.0, 30.0]]))[0]
    head = ball(centre, radius_mm=50.0)
    head.values[...] *= 1 + RNG.random(head.values.shape, np.float32)
    wide = Volume(values=np.pad(head.values, 30), affine_ras_mm=head.affine_ras_mm)
    assert clipped(wide).values.max() == pytest.approx(clipped(head).values.max(), rel=0.02)
    scaled = Volume(values=1e4 * head.values, affine_ras_mm=head.affine_ras_mm)
    np.testing.assert_allclose(clipped(scaled).values, 1e4 * clipped(head).values, rtol=1e-5)


@pytest.mark.parametrize("do", [clipped, head_mask])
def test_an_image_without_anything_above_0_is_named(do):
    with pytest.raises(InputError, match="no voxel is above 0"):
        do(volume(-RNG.random((20, 20, 20))))


def test_the_inner_head_is_below_the_scalp_and_above_the_neck():
    """A ball of 70 mm on a neck of 40 mm: what is deeper than 12 mm and within 130 mm of the top."""
    grid = volume(np.zeros((60, 60, 90)), np.diag([3.0, 3.0, 3.0, 1.0]))
    from_centre = world(grid) - (90.0, 90.0, 185.0)
    ball_mm, neck_mm = np.linalg.norm(from_centre, axis=1), np.linalg.norm(from_centre[:, :2], axis=1)
    filled = (ball_mm < 70) | ((neck_mm < 40) & (from_centre[:, 2] < 0))
    mask = head_mask(volume(filled.reshape(grid.values.shape), grid.affine_ras_mm))
    inner = inner_head_mm(mask) - (90.0, 90.0, 185.0)
    assert 110 < np.ptp(inner[:, 2]) < 120
    assert 50 < np.linalg.norm(inner[inner[:, 2] > 0], axis=1).max() < 66


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


def test_overlap_is_that_of_the_head_not_of_the_image():
    """A large T1 whose head fills a 27th, and a PET that shows this head alone."""
    values = np.zeros((60, 60, 60))
    values[20:40, 20:40, 20:40] = RNG.random((20, 20, 20))
    fixed = volume(values, np.eye(4))
    head = world(fixed)[values.ravel() > 0]
    affine = np.eye(4)
    affine[:3, 3] = 20
    moving = volume(values[20:40, 20:40, 20:40], affine)
    similarity = Similarity.of(fixed, moving, head_mm=head, spacing_mm=1.0, fwhm_mm=0.1)
    assert similarity.nmi(RigidTransform.identity()) > 1.5


def test_the_same_grid_is_no_better_than_another():
    """Noise on one grid: a shift by half a voxel interpolates it, and so must no shift at all.

    Of equal images whose second has noise of its own, the mutual information at the true place is that
    of a shift too small to be seen; where nothing was interpolated it was larger by several per cent.
    """
    x, y, z = np.ogrid[:48, :48, :48]
    smooth = np.sin(x / 7) + np.cos(y / 5) + np.sin(z / 6)
    first, second = (smooth + 0.5 * RNG.standard_normal(smooth.shape) for _ in range(2))
    here, near = (nmi(first, second, shift_mm=shift) for shift in (0.0, 0.25))
    assert here - 1 == pytest.approx(near - 1, rel=0.03)


def nmi(first, second, *, shift_mm=0.0):
    """Of two images on 1-mm voxels, hardly smoothed."""
    fixed, moving = (volume(each, np.eye(4)) for each in (first, second))
    shift = RigidTransform.from_rotation(translation_mm=(shift_mm, 0, 0))
    similarity = Similarity.of(fixed, moving, head_mm=world(fixed), spacing_mm=1.0, fwhm_mm=0.1)
    return similarity.nmi(shift)


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
    start = start_between(fixed, moving)
    np.testing.assert_allclose(start.fixed_to_moving[:3, 3], shift_mm, atol=1e-6)
    assert start.rotation_deg == pytest.approx(0, abs=1e-6)


def test_the_start_finds_a_head_that_one_image_shows_with_its_neck():
    """The centres of a slab and of a head with neck are 60 mm apart, and the header is far off."""
    shape = (60, 60, 90)
    values = np.zeros(shape, np.float32)
    values[15:45, 12:48, 40:85] = 1
    values[20:35, 20:40, 55:80] = 3
    values[24:36, 24:36, 0:40] = 1
    whole = volume(values, np.diag([3.0, 3.0, 3.0, 1.0]))
    affine = whole.affine_ras_mm.copy()
    affine[:3, 3] = (250.0, 100.0, 400.0 + 3.0 * 50)
    slab = volume(values[:, :, 50:85], affine)
    start = start_between(slab, whole)
    expected = (-250.0, -100.0, -400.0)
    np.testing.assert_allclose(start.fixed_to_moving[:3, 3], expected, atol=15)
    assert start.rotation_deg == pytest.approx(0, abs=1e-6)


def start_between(fixed, moving):
    head = head_mm(fixed)
    return starting_transform(
        Similarity.of(fixed, moving, head_mm=head, **SEARCH),
        fixed_centre_mm=head.mean(axis=0),
        moving_centre_mm=head_mm(moving).mean(axis=0),
    )
