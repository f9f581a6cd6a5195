from __future__ import annotations

import numpy as np
import pytest

from quietpet.geometry.grid import mmr_grid
from quietpet.geometry.scanner import siemens_mmr


def test_geometry_is_stirs(shared):
    reference = np.load(shared / "reference" / "stir" / "geometry.npz")
    scanner = siemens_mmr()
    np.testing.assert_allclose(scanner.view_angles_rad, reference["phi_rad"], atol=1e-12)
    np.testing.assert_allclose(scanner.bin_offsets_mm, reference["s_mm"], atol=1e-9)
    np.testing.assert_allclose(scanner.bin_widths_mm, reference["bin_width_mm"], atol=1e-9)
    first, second = scanner.crystal_pairs
    np.testing.assert_array_equal(first, reference["det1"])
    np.testing.assert_array_equal(second, reference["det2"])


def test_one_ninth_of_the_crystals_is_virtual():
    """A bin is lost when either end is virtual: 1 - (8/9)^2 = 0.2099 of all crystal pairs."""
    assert siemens_mmr().gap_mask.mean() == pytest.approx(1 - (8 / 9) ** 2, abs=1e-3)


def test_affine_puts_the_axis_at_the_origin():
    grid = mmr_grid(128)
    centre = grid.affine_ras_mm @ [63, 64, 64, 1]
    np.testing.assert_allclose(centre, [0, 0, 0, 1], atol=1e-9)
    step_back = grid.affine_ras_mm @ [63, 65, 64, 1]
    np.testing.assert_allclose(step_back, [0, -grid.pixel_mm, 0, 1], atol=1e-9)
