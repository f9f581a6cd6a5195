from __future__ import annotations

import numpy as np
import pytest
from scipy.ndimage import uniform_filter

from quietpet.acquisition.background import (
    estimated_randoms,
    modelled_background,
    odds,
    scaled_to,
    scatter_kernel,
)
from quietpet.acquisition.counts import noise_equivalent_counts
from quietpet.geometry.scanner import siemens_mmr

SCANNER = siemens_mmr()


@pytest.fixture(scope="module")
def normalisation():
    efficiencies = np.exp(-np.random.default_rng(0).uniform(size=SCANNER.sinogram_shape))
    return np.where(SCANNER.gap_mask, 0.0, efficiencies).astype(np.float32)


def test_scatter_of_a_line_is_a_gaussian_of_the_stated_width():
    """In millimetres, although bins are denser towards the edge."""
    line = np.zeros(SCANNER.n_bins, dtype=np.float32)
    line[172 + 60] = 1.0
    scatter = line @ scatter_kernel(SCANNER, fwhm_mm=100.0)
    position_mm = SCANNER.bin_offsets_mm
    peak_mm = position_mm[172 + 60]
    assert np.interp(peak_mm - 50.0, position_mm, scatter) == pytest.approx(scatter.max() / 2, rel=1e-3)
    assert np.interp(peak_mm + 50.0, position_mm, scatter) == pytest.approx(scatter.max() / 2, rel=1e-3)
    # An area is kept: 1 in a bin of its width, against the integral over all bins.
    area = (scatter * SCANNER.bin_widths_mm).sum()
    assert area == pytest.approx(SCANNER.bin_widths_mm[172 + 60], rel=5e-3)


def test_fractions_hold_where_they_are_counted():
    trues = np.array([[0.0, 30.0, 50.0]])
    scatter = scaled_to(odds(0.2) * 80.0, np.ones((1, 3)), within=trues > 0)
    assert scatter.sum(where=trues > 0) / (trues + scatter).sum(where=trues > 0) == pytest.approx(0.2)
    assert scatter[0, 0] == scatter[0, 1]


def test_what_no_line_sees_cannot_be_scaled():
    with pytest.raises(ValueError, match="no line of response"):
        scaled_to(80.0, np.zeros((1, 3)), within=np.ones((1, 3), dtype=bool))


def test_noise_equivalent_counts_in_closed_form():
    """60^2 / (60 + 20 + k 20): 36 with a noise-free estimate of randoms, 30 with delayed counts."""
    counts = [np.array([value]) for value in (60.0, 20.0, 20.0)]
    assert noise_equivalent_counts(*counts, k=1) == 36.0
    assert noise_equivalent_counts(*counts, k=2) == 30.0
    none = np.zeros(1)
    assert noise_equivalent_counts(counts[0], none, none, k=2) == 60.0


def test_randoms_are_estimated_without_bias_and_with_less_noise(normalisation):
    expected = 5.0 * normalisation
    delayed = np.random.default_rng(0).poisson(expected, (4, *expected.shape))
    estimate = estimated_randoms(delayed, normalisation, window=31)
    recorded = normalisation > 0
    assert estimate.dtype == np.float32
    assert (estimate[:, ~recorded] == 0).all()
    total = expected.sum()
    assert abs(estimate.sum() / 4 - total) <= 5 * np.sqrt(total / 4)
    # About 31^2 x 0.79 recorded bins of mean efficiency 0.63 and 5 counts: relative error 1/sqrt(2400).
    relative = (estimate / np.where(recorded, expected, 1.0))[:, 20:-20, 20:-20][
        :, recorded[20:-20, 20:-20]
    ]
    assert relative.std() == pytest.approx(1 / np.sqrt(31**2 * 0.79 * 0.632 * 5.0), rel=0.2)


@pytest.mark.parametrize("window", [5, 31, 1000])
def test_the_level_is_a_ratio_of_scipys_box_means(normalisation, window):
    delayed = np.random.default_rng(0).poisson(2.0 * normalisation)
    counts, seen = (
        uniform_filter(values.astype(float), size=window, mode="constant")
        for values in (delayed, normalisation)
    )
    expected = np.divide(normalisation * counts, seen, out=np.zeros_like(seen), where=seen > 1e-9)
    estimate = estimated_randoms(delayed[None], normalisation, window=window)[0]
    np.testing.assert_allclose(estimate, expected, rtol=1e-5)


def test_a_window_of_one_gives_the_counts_themselves(normalisation):
    delayed = np.random.default_rng(0).poisson(3.0 * normalisation, (2, *normalisation.shape))
    np.testing.assert_allclose(estimated_randoms(delayed, normalisation, window=1), delayed, rtol=1e-6)


def test_the_model_has_a_background_only_where_the_scan_has_one(normalisation):
    scatter = np.full((1, *normalisation.shape), 2.0, dtype=np.float32)
    delayed = np.random.default_rng(0).poisson(3.0 * normalisation)[None]
    randoms = estimated_randoms(delayed, normalisation, window=31)
    assert modelled_background({}, normalisation, window=31) == {}
    for measured, expected in (
        ({"scatter": scatter}, scatter),
        ({"delayed": delayed}, randoms),
        ({"scatter": scatter, "delayed": delayed}, scatter + randoms),
    ):
        found = modelled_background(measured, normalisation, window=31)
        np.testing.assert_allclose(found["background"], expected, rtol=1e-6)
