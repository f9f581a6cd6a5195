from __future__ import annotations

import numpy as np
import pytest
import torch

from quietpet.acquisition.sensitivity import (
    arriving_pairs,
    attenuation_factors,
    axial_acceptance,
    bin_efficiencies,
    calibrated_sensitivity,
    normalisation_of,
    without_gaps,
)
from quietpet.geometry.grid import mmr_grid
from quietpet.geometry.scanner import SCANNERS, siemens_mmr


def test_attenuation_of_a_water_cylinder(head_projector):
    """Beer-Lambert along the diameter of a 20-cm cylinder at 0.096 / cm: exp(-1.92) = 0.147."""
    grid = mmr_grid(128)
    mu = torch.from_numpy(np.where(grid.within_radius(100.0), 0.096, 0.0).astype(np.float32))[None]
    factors = attenuation_factors(mu, head_projector, pixel_mm=grid.pixel_mm)[0]
    path_cm = -np.log(factors[:, 172].numpy()) / 0.096
    np.testing.assert_allclose(path_cm, 20.0, atol=0.21)  # one pixel
    assert path_cm.mean() == pytest.approx(20.0, abs=0.05)
    assert factors.max() == 1.0


def test_pairs_that_arrive_from_a_water_cylinder(head_projector):
    """Along the diameter of 20 cm: 20 cm of activity, of which exp(-1.92) survives."""
    grid = mmr_grid(128)
    disc = torch.from_numpy(grid.within_radius(100.0).astype(np.float32))[None]
    attenuation = attenuation_factors(0.096 * disc, head_projector, pixel_mm=grid.pixel_mm)
    pairs = arriving_pairs(3.0 * disc, attenuation, head_projector)[0, :, 172]
    assert pairs.mean() * grid.pixel_mm == pytest.approx(3.0 * 200.0 * np.exp(-1.92), rel=0.01)
    # Projected in pixels of half the side, an integral is in units of the model's pixel again.
    halved = arriving_pairs(3.0 * disc, attenuation, head_projector, refinement=2)[0, :, 172]
    np.testing.assert_allclose(halved, pairs / 2)


def test_a_source_on_the_axis_gives_the_stated_counts_in_every_slice(head_projector):
    """36.1 cps/kBq, the mean of the axis, times the acceptance of the slice; 2 kBq/ml for 5 min."""
    scanner, grid = siemens_mmr(), mmr_grid(128)
    normalisation = normalisation_of(scanner, np.ones(scanner.sinogram_shape, np.float32), gaps=True)
    slice_mm = np.array([0.0, 60.0, -110.0])
    per_integral = calibrated_sensitivity(
        scanner,
        head_projector,
        normalisation,
        grid,
        slice_mm=slice_mm,
        sensitivity_cps_per_kbq=36.1,
        minutes=5.0,
        activity=2.0,
    )
    source = grid.within_radius(20.0)
    lines = head_projector.forward(torch.from_numpy(source.astype(np.float32))[None])[0].numpy()
    counts = per_integral * (normalisation * lines).sum(dtype=np.float64)
    kbq = 2.0 * source.sum() * grid.pixel_mm**2 * grid.slice_mm / 1000
    expected = 36.1 * kbq * 300 * axial_acceptance(scanner, slice_mm)
    np.testing.assert_allclose(counts, expected, rtol=1e-4)


def test_efficiencies_fill_their_range():
    """exp(-U(0,1)) has mean 1 - 1/e and lies in [1/e, 1]."""
    efficiencies = bin_efficiencies(siemens_mmr(), spread=1.0, rng=np.random.default_rng(0))
    assert efficiencies.min() >= np.exp(-1.0) - 1e-6
    assert efficiencies.max() <= 1.0
    np.testing.assert_allclose(efficiencies.mean(), 1 - np.exp(-1.0), rtol=0.01)


def test_without_spread_all_bins_are_equal():
    efficiencies = bin_efficiencies(siemens_mmr(), spread=0.0, rng=np.random.default_rng(0))
    assert (efficiencies == 1).all()


def test_gaps_are_empty_and_nothing_else_is():
    scanner = siemens_mmr()
    normalisation = without_gaps(scanner, np.ones(scanner.sinogram_shape, dtype=np.float32))
    np.testing.assert_array_equal(normalisation == 0, scanner.gap_mask)
    ones = np.ones(scanner.sinogram_shape, dtype=np.float32)
    np.testing.assert_array_equal(normalisation_of(scanner, ones, gaps=True), normalisation)
    assert (normalisation_of(scanner, ones, gaps=False) == 1).all()


@pytest.mark.parametrize("model", list(SCANNERS))
def test_acceptance_is_the_share_of_photon_pairs_that_are_detected(model):
    """Against a count of isotropic pairs from points spread evenly along the axis."""
    scanner, rng = SCANNERS[model](), np.random.default_rng(0)
    n, radius_mm = 4_000_000, scanner.effective_radius_mm
    half_mm = scanner.n_rings * scanner.ring_spacing_mm / 2
    z_mm = rng.uniform(-half_mm, half_mm, n)
    cosine = rng.uniform(-1, 1, n)  # to the axis
    rise_mm = radius_mm * np.abs(cosine) / np.sqrt(1 - cosine**2)
    inside = (np.abs(z_mm) + rise_mm) <= half_mm
    detected = inside & (2 * rise_mm <= scanner.max_ring_difference * scanner.ring_spacing_mm)
    edges_mm = np.linspace(-half_mm, half_mm, 17)
    emitted, _ = np.histogram(z_mm, edges_mm)
    seen, _ = np.histogram(z_mm[detected], edges_mm)
    counted = (seen / emitted) / (seen.sum() / n)
    fine_mm = edges_mm[:-1, None] + np.diff(edges_mm)[:, None] * (np.arange(50) + 0.5) / 50
    of_bins = axial_acceptance(scanner, fine_mm).mean(axis=1)
    np.testing.assert_allclose(of_bins, counted, rtol=0.02, atol=0.01)
    assert of_bins.mean() == pytest.approx(1.0, rel=1e-3)


def test_the_middle_of_the_mmr_sees_nearly_twice_the_mean():
    """Profiles of three-dimensional PET are triangles, whose middle is twice the mean; here cut flat."""
    middle, quarter = axial_acceptance(siemens_mmr(), np.array([0.0, 65.0]))
    assert middle == pytest.approx(1.83, abs=0.01)
    assert middle / quarter == pytest.approx(1.8, abs=0.1)
