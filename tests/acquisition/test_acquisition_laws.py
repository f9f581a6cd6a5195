"""Laws of thinning, decay, randoms, subsets and blur that hold for any input."""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst
from toy import random_projector, toy_model

from quietpet.acquisition.background import estimated_randoms, odds, scaled_to
from quietpet.acquisition.counts import counts_per_activity, noise_equivalent_counts
from quietpet.acquisition.dose import decay_factor, decaying_minutes
from quietpet.acquisition.psf import GaussianPSF
from quietpet.acquisition.thinning import thin
from quietpet.seeds import numpy_rng

FRACTIONS = st.floats(0, 1)
COUNTS = npst.arrays(np.int32, npst.array_shapes(max_dims=3, max_side=5), elements=st.integers(0, 2000))
MINUTES = st.floats(0, 1000)
HALF_LIVES = st.floats(0.5, 1e5)


@given(COUNTS, st.lists(FRACTIONS, min_size=1, max_size=4), st.integers(0, 5))
def test_levels_are_nested_for_any_fractions(counts, fractions, realisation):
    """However near the levels: each holds the events of every lower one, and none that was not there."""
    generator_at = partial(numpy_rng, realisation, "thinning")
    near = [0.99 * each for each in fractions]
    levels = [thin(counts, each, generator_at=generator_at) for each in sorted(fractions + near)]
    for lower, higher in zip([np.zeros_like(counts), *levels], [*levels, counts], strict=True):
        assert (lower <= higher).all()
        assert (lower.shape, lower.dtype) == (counts.shape, counts.dtype)


@given(COUNTS, FRACTIONS)
def test_what_is_thinned_stays_as_it_was(counts, fraction):
    before = counts.copy()
    thin(counts, fraction, generator_at=partial(numpy_rng, 0))
    np.testing.assert_array_equal(counts, before)


@given(MINUTES, MINUTES, HALF_LIVES)
def test_decays_of_two_scans_in_a_row_are_those_of_one(first, second, half_life):
    """Integrals add up: the second scan starts with what the first left."""
    factor, minutes = (
        partial(each, half_life_minutes=half_life) for each in (decay_factor, decaying_minutes)
    )
    assert factor(first) * factor(second) == pytest.approx(factor(first + second))
    assert minutes(first) + factor(first) * minutes(second) == pytest.approx(minutes(first + second))
    assert 0 <= minutes(first) <= first * (1 + 1e-9)


@given(
    npst.arrays(np.float64, st.tuples(st.integers(1, 9), st.integers(1, 9)), elements=st.floats(0.1, 2)),
    st.integers(1, 12),
    st.floats(0, 1e4),
)
def test_randoms_that_follow_the_efficiencies_are_found_exactly(normalisation, window, level):
    """Delayed counts of a constant rate before detection give back that rate, whatever the window."""
    delayed = level * normalisation[None]
    found = estimated_randoms(delayed, normalisation, window=window)
    np.testing.assert_allclose(found, delayed, rtol=1e-5, atol=1e-30)


@given(COUNTS.filter(lambda counts: counts.ndim == 2), st.integers(0, 12))
def test_randoms_of_a_window_are_sums_over_neighbours(counts, half):
    """Of an even or odd number of views and bins, written out bin by bin."""
    window, (views, bins) = half + 1, counts.shape
    normalisation = np.random.default_rng(half).uniform(0, 1, counts.shape).round(1)
    found = estimated_randoms(counts[None], normalisation, window=window)[0]
    for view, bin_ in np.ndindex(views, bins):
        near = tuple(
            slice(max(0, place - window // 2), place + (window + 1) // 2) for place in (view, bin_)
        )
        expected = 0.0
        if normalisation[view, bin_]:
            expected = normalisation[view, bin_] * counts[near].sum() / normalisation[near].sum()
        assert found[view, bin_] == pytest.approx(expected, rel=1e-5)


@given(st.floats(0, 0.99))
def test_odds_are_part_to_rest(fraction):
    part = odds(fraction)
    assert part / (1 + part) == pytest.approx(fraction)


@given(
    npst.arrays(np.float64, (4, 5), elements=st.floats(1e-3, 1e3)),
    npst.arrays(bool, (4, 5)).filter(np.any),
    st.just(0.0) | st.floats(1, 1e9),
)
def test_a_scaled_background_has_the_wanted_sum(shape, within, total):
    scaled = scaled_to(total, shape, within=within)
    assert scaled[within].sum() == pytest.approx(total)
    np.testing.assert_allclose(scaled * shape[0, 0], shape * scaled[0, 0], rtol=1e-9)


@given(
    npst.arrays(np.float32, (3, 4, 5), elements=st.floats(0.015625, 1e3, width=32)),
    npst.arrays(np.float64, 3, elements=st.floats(1, 1e9)),
)
def test_every_slice_gets_its_counts(sinograms, counts):
    factors = counts_per_activity(sinograms, counts)
    np.testing.assert_allclose((factors[:, None, None] * sinograms).sum(axis=(1, 2)), counts, rtol=1e-5)


@given(st.floats(1, 1e9), st.floats(0, 1e9), st.floats(0, 1e9), st.sampled_from([1, 2]))
def test_noise_equivalent_counts_are_at_most_the_trues(trues, scattered, randoms, k):
    """And scale with time, as all counts do."""
    equivalent = partial(noise_equivalent_counts, k=k)
    found = equivalent(trues, scattered, randoms)
    assert 0 < found <= trues * (1 + 1e-12)
    assert equivalent(3 * trues, 3 * scattered, 3 * randoms) == pytest.approx(3 * found)


@given(st.integers(1, 9), st.data())
def test_subsets_of_a_model_are_parts_of_its_expectation(views, data):
    of = data.draw(st.integers(1, views), label="of")
    model = toy_model(
        random_projector(views=views, bins=4, side=3, seed=views), slices=2, background=2.0, seed=of
    )
    image = torch.rand(2, 3, 3, generator=torch.Generator().manual_seed(views))
    whole = model.expected(image)
    for index in range(of):
        torch.testing.assert_close(model.subset(index, of).expected(image), whole[:, index::of])


@settings(max_examples=30)
@given(
    st.just(0.0) | st.floats(0.01, 12),
    st.floats(0.5, 5),
    st.tuples(st.integers(1, 12), st.integers(1, 12)),
    st.integers(0, 99),
)
def test_a_blur_is_its_own_adjoint_and_makes_no_activity(fwhm_mm, pixel_mm, shape, seed):
    psf = GaussianPSF(fwhm_mm=fwhm_mm, pixel_mm=pixel_mm, image_shape=shape)
    one, other = torch.rand(2, *shape, generator=torch.Generator().manual_seed(seed))
    forward, backward = (float(torch.sum(a * psf(b))) for a, b in ((one, other), (other, one)))
    assert forward == pytest.approx(backward, rel=1e-5, abs=1e-6)
    assert float(psf(one).sum()) <= float(one.sum()) * (1 + 1e-5)
    assert float(psf(one).min()) >= 0
