"""The same head on two grids, and the motion between them."""

from __future__ import annotations

import numpy as np
import pytest
from heads import BALL_MM, BALL_RADIUS_MM, VOXEL_MM, head_with_ball

from quietpet.config.phantoms import PhantomSettings
from quietpet.config.scanner import ScannerSettings
from quietpet.phantom.tissues import Tissue
from quietpet.standin.anatomy import (
    CLASSES,
    T1_UNITS_PER_SIGNAL,
    attenuation_slices,
    draw_t1_geometry,
    t1_image,
    tissue_fractions,
)
from quietpet.standin.scan import standin_grid

MMR = ScannerSettings()
T1 = PhantomSettings().t1


def drawn(seed=0, *, shape=(88, 128, 128), voxel_mm=2.0, rotation=5.0, translation=8.0):
    return draw_t1_geometry(
        shape=shape,
        voxel_mm=voxel_mm,
        max_rotation_deg=rotation,
        max_translation_mm=translation,
        rng=np.random.default_rng(seed),
    )


@pytest.mark.parametrize("axial_step", [1, 2])
def test_fractions_fill_the_head_and_keep_its_volume(axial_step):
    head, grid = head_with_ball(), standin_grid(MMR, axial_step=axial_step)
    fractions = tissue_fractions(head, grid=grid)
    assert fractions.shape == (len(CLASSES), *grid.shape)
    total = fractions.sum(axis=0)
    assert total.max() == pytest.approx(1.0, abs=1e-6)
    assert total.min() == 0.0
    voxel_ml = grid.slice_mm * grid.pixel_mm**2 / 1000
    for name, code in (("other", Tissue.SKIN), ("white_matter", Tissue.WHITE_MATTER)):
        expected_ml = (head.codes == code).sum() * VOXEL_MM**3 / 1000
        found_ml = fractions[CLASSES.index(name)].sum() * voxel_ml
        assert found_ml == pytest.approx(expected_ml, rel=0.005)
    for name in ("grey_matter", "csf", "blood"):
        assert not fractions[CLASSES.index(name)].any()


def test_the_two_axial_samplings_cover_the_same_heights():
    every, rings = (standin_grid(MMR, axial_step=step) for step in (1, 2))
    assert (every.n_slices, rings.n_slices) == (127, 64)
    # Ring r is slice 2 r of the scanner's own grid.
    np.testing.assert_allclose(rings.slice_positions_mm, every.slice_positions_mm[::2])


def test_attenuation_is_that_of_the_tissues():
    grid = standin_grid(MMR, axial_step=2)
    mu = attenuation_slices(head_with_ball(), values=PhantomSettings().mu_per_cm, grid=grid)
    assert mu.max() == pytest.approx(0.0975)
    assert np.median(mu[mu > 0]) == pytest.approx(0.0975)


def test_the_ball_lies_in_pet_where_it_was_put():
    grid = standin_grid(MMR, axial_step=2)
    ball = tissue_fractions(head_with_ball(), grid=grid)[CLASSES.index("white_matter")]
    index = [np.average(axis, weights=ball) for axis in np.indices(grid.shape)]
    np.testing.assert_allclose((grid.affine_ras_mm @ [*index, 1])[:3], BALL_MM, atol=0.3)


def test_the_motion_takes_landmarks_of_t1_to_pet():
    for seed in range(3):
        geometry = drawn(seed)
        image = t1_image(head_with_ball(), geometry, values=T1, noise=0.0, rng=np.random.default_rng(0))
        weights = np.clip(image - T1_UNITS_PER_SIGNAL * T1.skin, 0, None)  # of the ball alone
        index = [np.average(axis, weights=weights) for axis in np.indices(image.shape)]
        in_t1 = geometry.affine_ras_mm @ [*index, 1]
        np.testing.assert_allclose((geometry.t1_to_pet_ras_mm @ in_t1)[:3], BALL_MM, atol=0.3)
        # Without the motion it would be missed by millimetres.
        assert np.abs(in_t1[:3] - BALL_MM).max() > 1.0


def test_t1_shows_the_ball_in_its_size_and_brightness():
    geometry = drawn()
    image = t1_image(head_with_ball(), geometry, values=T1, noise=0.0, rng=np.random.default_rng(0))
    assert image.dtype == np.int16
    assert image.max() == T1_UNITS_PER_SIGNAL * T1.white_matter
    middle = T1_UNITS_PER_SIGNAL * (T1.white_matter + T1.skin) / 2
    volume_mm3 = (image > middle).sum() * 8.0
    assert volume_mm3 == pytest.approx(4 / 3 * np.pi * BALL_RADIUS_MM**3, rel=0.05)


def test_noise_of_t1_is_rician():
    """Rayleigh in air, mean sigma sqrt(pi / 2); nearly Gaussian of sigma in tissue."""
    geometry = drawn()
    image = t1_image(head_with_ball(), geometry, values=T1, noise=0.1, rng=np.random.default_rng(0))
    clean = t1_image(head_with_ball(), geometry, values=T1, noise=0.0, rng=np.random.default_rng(0))
    sigma = 0.1 * T1.white_matter * T1_UNITS_PER_SIGNAL
    air, ball = image[clean == 0], image[clean == clean.max()]
    assert air.mean() == pytest.approx(sigma * np.sqrt(np.pi / 2), rel=0.01)
    assert ball.std() == pytest.approx(sigma, rel=0.05)


def test_geometry_keeps_to_its_limits():
    for seed in range(20):
        geometry = drawn(seed)
        rotation = geometry.t1_to_pet_ras_mm[:3, :3]
        np.testing.assert_allclose(rotation @ rotation.T, np.eye(3), atol=1e-12)
        assert np.linalg.det(rotation) == pytest.approx(1.0)
        angle_deg = np.rad2deg(np.arccos((np.trace(rotation) - 1) / 2))
        assert angle_deg <= 5.0 * np.sqrt(3)
        assert np.abs(geometry.t1_to_pet_ras_mm[:3, 3]).max() <= 8.0
        # The middle of the grid is the middle of the head.
        middle = geometry.affine_ras_mm @ [*((np.array(geometry.shape) - 1) / 2), 1]
        np.testing.assert_allclose((geometry.t1_to_pet_ras_mm @ middle)[:3], 0.0, atol=1e-9)
    assert not np.array_equal(drawn(0).t1_to_pet_ras_mm, drawn(1).t1_to_pet_ras_mm)
    still = drawn(0, rotation=0.0, translation=0.0)
    np.testing.assert_allclose(still.t1_to_pet_ras_mm, np.eye(4), atol=1e-15)
