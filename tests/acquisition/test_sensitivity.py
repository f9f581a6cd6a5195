from __future__ import annotations

import numpy as np
import pytest
import torch

from quietpet.acquisition.sensitivity import attenuation_factors, bin_efficiencies, without_gaps
from quietpet.geometry.grid import mmr_grid
from quietpet.geometry.scanner import siemens_mmr


def test_attenuation_of_a_water_cylinder(head_projector):
    """Beer-Lambert along the diameter of a 20-cm cylinder at 0.096 / cm: exp(-1.92) = 0.147."""
    grid = mmr_grid(128)
    mu = torch.from_numpy(np.where(grid.within_radius(100.0), 0.096, 0.0).astype(np.float32))[None]
    factors = attenuation_factors(mu, head_projector, pixel_mm=grid.pixel_mm)[0]
    path_cm = -np.log(factors[:, 172].numpy()) / 0.096
    np.testing.assert_allclose(path_cm, 20.0, atol=0.21)  # one pixel
    assert path_cm.mean() == pytest.approx(20.0, abs=0.05)
    assert factors.max() == 1.0


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
