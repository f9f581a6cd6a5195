"""What is left of errors when the most uncertain pixels go, in closed forms."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import spearmanr

from quietpet.evaluation.sparsification import REMOVED, rank_correlation, sparsification


def test_a_perfect_uncertainty_is_the_oracle() -> None:
    error = np.random.default_rng(0).normal(size=4000)
    found = sparsification(np.abs(error), error)
    assert found is not None
    assert np.array_equal(found.by_spread, found.oracle)
    assert found.ause == found.relative_ause == 0.0
    assert rank_correlation(np.abs(error), error) == pytest.approx(1.0)


def test_errors_that_grow_linearly_have_a_known_oracle() -> None:
    """|error| uniform in [0, 1]: its RMS among those below q is q / sqrt(3), and 1 / sqrt(3) of all."""
    error = (np.arange(200_000) + 0.5) / 200_000
    found = sparsification(error, error)
    assert found is not None
    assert found.oracle == pytest.approx(1.0 - REMOVED, abs=1e-5)


def test_no_spread_and_one_that_knows_nothing_are_a_random_order() -> None:
    rng = np.random.default_rng(1)
    error = rng.normal(size=200_000)
    constant = sparsification(np.zeros(error.size), error)
    unrelated = sparsification(rng.uniform(size=error.size), error)
    assert constant is not None
    assert unrelated is not None
    assert constant.by_spread == pytest.approx(np.ones(REMOVED.size))
    assert constant.relative_ause == pytest.approx(1.0)
    assert unrelated.relative_ause == pytest.approx(1.0, abs=0.02)
    assert rank_correlation(np.zeros(error.size), error) is None
    assert rank_correlation(rng.uniform(size=error.size), error) == pytest.approx(0.0, abs=0.01)


def test_the_wrong_way_round_is_worse_than_a_random_order() -> None:
    error = np.random.default_rng(2).exponential(size=5000)
    found = sparsification(-error, error)
    assert found is not None
    assert found.relative_ause is not None
    assert found.relative_ause > 1
    assert rank_correlation(-error, error) == pytest.approx(-1.0)


def test_equal_spreads_do_not_depend_on_the_order_of_pixels() -> None:
    rng = np.random.default_rng(3)
    error, spread = rng.normal(size=1000), rng.integers(0, 4, 1000).astype(float)
    order = rng.permutation(1000)
    found, shuffled = sparsification(spread, error), sparsification(spread[order], error[order])
    assert found is not None
    assert shuffled is not None
    assert found.by_spread == pytest.approx(shuffled.by_spread)


def test_the_rank_correlation_is_that_of_scipy() -> None:
    rng = np.random.default_rng(4)
    error = rng.normal(size=500)
    spread = np.round(np.abs(error) + rng.exponential(size=500), 1)  # with ties
    assert rank_correlation(spread, error) == pytest.approx(spearmanr(spread, np.abs(error)).statistic)


def test_without_an_error_there_is_nothing_to_order() -> None:
    assert sparsification(np.arange(5.0), np.zeros(5)) is None
    alike = sparsification(np.arange(100.0), np.ones(100))
    assert alike is not None
    assert alike.ause == pytest.approx(0.0)
    assert alike.relative_ause is None
    assert rank_correlation(np.arange(5.0), np.ones(5)) is None
