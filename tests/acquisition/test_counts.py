from __future__ import annotations

import numpy as np
import pytest

from quietpet.acquisition.counts import counts_per_activity, poisson_prompts, slice_counts
from quietpet.config.doses import DoseSettings

LOW = {"psf_fwhm_mm": 4.0, "iterations": 10, "subsets": 14}


def test_volume_counts_are_shared_by_the_slices():
    per_volume = DoseSettings(counts=(9e7, 12e7), **LOW)
    per_slice = DoseSettings(counts=(9e7, 12e7), counts_per="slice", **LOW)
    shared = slice_counts(per_volume, slices_per_volume=127, rng=np.random.default_rng(1))
    literal = slice_counts(per_slice, slices_per_volume=127, rng=np.random.default_rng(1))
    assert literal == pytest.approx(127 * shared)


def test_count_levels_fill_their_range():
    protocol = DoseSettings(counts=(9e7, 12e7), counts_per="slice", **LOW)
    rng = np.random.default_rng(0)
    drawn = [slice_counts(protocol, slices_per_volume=127, rng=rng) for _ in range(2000)]
    assert min(drawn) >= 9e7
    assert max(drawn) <= 12e7
    assert np.mean(drawn) == pytest.approx(10.5e7, rel=0.01)


def test_calibration_gives_the_requested_totals():
    mean = np.random.default_rng(0).random((3, 4, 5))
    counts = np.array([10.0, 20.0, 1e8])
    factors = counts_per_activity(mean, counts)
    np.testing.assert_allclose((factors[:, None, None] * mean).sum(axis=(1, 2)), counts)


def test_a_slice_without_activity_is_refused():
    mean = np.ones((2, 4, 5))
    mean[1] = 0
    with pytest.raises(ValueError, match=r"slices \[1\] hold no activity"):
        counts_per_activity(mean, np.ones(2))


def test_prompts_have_poisson_mean_and_variance():
    """1000 replicates: mean = variance = expectation within five standard errors in every bin."""
    expected = np.array([[0.0, 0.3, 2.0], [30.0, 900.0, 5e4]])
    draws = np.stack([poisson_prompts(expected, np.random.default_rng(seed)) for seed in range(1000)])
    mean_error = np.abs(draws.mean(axis=0) - expected)
    assert (mean_error <= 5 * np.sqrt(expected / 1000)).all()
    # Var(sample variance) of a Poisson variable: (mu + 2 mu^2) / n.
    variance_error = np.abs(draws.var(axis=0, ddof=1) - expected)
    assert (variance_error <= 5 * np.sqrt((expected + 2 * expected**2) / 1000)).all()
