"""Ellipses: two independent ways to their line integrals."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from quietpet.geometry.grid import mmr_grid
from quietpet.geometry.scanner import siemens_mmr
from quietpet.phantom.ellipses import HEAD_ACTIVITY, Ellipse, ParallelBins, line_integrals, rasterise

ELLIPSE = Ellipse(value=3.0, centre_mm=(20.0, -10.0), semi_axes_mm=(40.0, 15.0), angle_rad=0.4)


def test_the_raster_holds_the_area():
    grid = mmr_grid(128)
    total = rasterise([ELLIPSE], grid).sum() * grid.pixel_mm**2
    assert total == pytest.approx(3.0 * np.pi * 40.0 * 15.0, rel=1e-3)


def test_every_view_holds_the_area():
    scanner = siemens_mmr()
    mass = line_integrals([ELLIPSE], ParallelBins.of(scanner)) @ scanner.bin_widths_mm
    np.testing.assert_allclose(mass, 3.0 * np.pi * 40.0 * 15.0, rtol=1e-3)


@pytest.mark.parametrize("view", [0, 37, 126, 200])
def test_chords_are_those_found_by_walking_along_the_line(view):
    """x = s cos + a sin, y = s sin - a cos, in steps of 0.01 mm."""
    scanner = siemens_mmr()
    angle = scanner.view_angles_rad[view]
    along_mm = np.arange(-200, 200, 0.01)
    thin = replace(ParallelBins.of(scanner), widths_mm=np.full(scanner.n_bins, 1e-4))
    found = line_integrals([ELLIPSE], thin)[view]
    for index in (150, 172, 185, 300):
        s_mm = scanner.bin_offsets_mm[index]
        x = s_mm * np.cos(angle) + along_mm * np.sin(angle) - ELLIPSE.centre_mm[0]
        y = s_mm * np.sin(angle) - along_mm * np.cos(angle) - ELLIPSE.centre_mm[1]
        major = x * np.cos(ELLIPSE.angle_rad) + y * np.sin(ELLIPSE.angle_rad)
        minor = y * np.cos(ELLIPSE.angle_rad) - x * np.sin(ELLIPSE.angle_rad)
        inside = (major / 40.0) ** 2 + (minor / 15.0) ** 2 <= 1
        assert found[index] == pytest.approx(3.0 * 0.01 * inside.sum(), abs=0.1)


def test_the_head_has_no_negative_activity_and_a_hot_lesion():
    image = rasterise(HEAD_ACTIVITY, mmr_grid(128))
    assert image.min() >= 0
    assert image.max() == pytest.approx(144.0)
