"""The closed-form intersection lengths against geometry one can do by hand."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from quietpet.geometry.grid import mmr_grid
from quietpet.geometry.scanner import siemens_mmr
from quietpet.projection.system_matrix import chord_length, system_matrix


@given(st.floats(0, np.pi))
def test_chords_of_a_square_integrate_to_its_area(angle_rad):
    distance = np.linspace(-1, 1, 20_001)
    area = np.trapezoid(chord_length(distance, angle_rad), distance)
    assert area == pytest.approx(1.0, abs=2e-4)


@pytest.mark.parametrize(
    ("angle_deg", "distance", "length"),
    [(0, 0, 1), (0, 0.49, 1), (0, 0.51, 0), (45, 0, np.sqrt(2)), (45, np.sqrt(2) / 4, np.sqrt(2) / 2)],
)
def test_chord_of_a_square(angle_deg, distance, length):
    assert chord_length(np.array(distance), np.deg2rad(angle_deg)) == pytest.approx(length)


def test_symmetry_related_views_equal_the_directly_computed_one():
    """View 100 is derived from view 26 (90 degrees on from the mirror of 26); trace it ray by ray."""
    scanner, grid = siemens_mmr(), mmr_grid(32)
    view, rays = 100, 3
    row, column = np.nonzero(grid.within_radius(15 * grid.pixel_mm))
    angle = scanner.view_angles_rad[view]
    position = (column - 16) * np.cos(angle) + (row - 16) * np.sin(angle)
    expected = np.zeros((scanner.n_bins, 32, 32))
    for shift in (-1 / 3, 0, 1 / 3):
        offset = (scanner.bin_offsets_mm + shift * scanner.bin_widths_mm) / grid.pixel_mm
        expected[:, row, column] += chord_length(offset[:, None] - position[None, :], angle) / rays
    rows = slice(view * scanner.n_bins, (view + 1) * scanner.n_bins)
    found = system_matrix(scanner, grid, rays=rays)[rows].toarray().reshape(expected.shape)
    np.testing.assert_allclose(found, expected, atol=1e-6)
