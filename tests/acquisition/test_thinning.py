"""Thinning against the laws of the Poisson and the binomial distribution."""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest
from scipy import stats

from quietpet.acquisition.thinning import kept_of_randoms, thin, thin_measurement
from quietpet.seeds import numpy_rng

REPLICATES = 1000
FRACTIONS = (0.05, 0.1, 0.25, 0.3, 0.5, 0.75, 0.9)


def thinned(counts, fraction, *names):
    return thin(counts, fraction, generator_at=partial(numpy_rng, 0, "thinning", *names))


@pytest.fixture(scope="module")
def expected():
    return np.array([0.3, 2.0, 30.0, 900.0])


@pytest.fixture(scope="module")
def standard(expected):
    """Replicates of a Poisson measurement, (replicate, bin)."""
    return np.random.default_rng(1).poisson(expected, (REPLICATES, expected.size)).astype(np.int32)


@pytest.fixture(scope="module")
def levels(standard):
    """Every fraction of every replicate."""
    return {
        fraction: np.stack([thinned(counts, fraction, row) for row, counts in enumerate(standard)])
        for fraction in FRACTIONS
    }


@pytest.mark.parametrize("fraction", FRACTIONS)
def test_thinned_counts_are_poisson_with_f_times_the_mean(levels, expected, fraction):
    """Mean = variance = f m within five standard errors over 1000 replicates."""
    mean = fraction * expected
    kept = levels[fraction]
    assert (np.abs(kept.mean(axis=0) - mean) <= 5 * np.sqrt(mean / REPLICATES)).all()
    # Var(sample variance) of a Poisson variable: (mu + 2 mu^2) / n.
    error = np.abs(kept.var(axis=0, ddof=1) - mean)
    assert (error <= 5 * np.sqrt((mean + 2 * mean**2) / REPLICATES)).all()


@pytest.mark.parametrize("fraction", FRACTIONS)
def test_kept_and_removed_are_the_standard_and_independent(levels, standard, fraction):
    """Of Poisson counts, what is kept says nothing about what is removed."""
    kept, removed = levels[fraction], standard - levels[fraction]
    assert (removed >= 0).all()
    assert (kept >= 0).all()
    for which in range(1, standard.shape[1]):
        correlation = np.corrcoef(kept[:, which], removed[:, which])[0, 1]
        assert abs(correlation) <= 5 / np.sqrt(REPLICATES)


def test_every_event_is_kept_with_the_same_probability():
    """Given n = 40 events, the number kept is binomial: chi-square over its whole distribution."""
    kept = thinned(np.full(20_000, 40), 0.3)
    edges = np.arange(5, 20)
    found = np.histogram(kept, [-1, *edges, 41])[0]
    probability = np.diff(stats.binom.cdf([-2, *(edges - 1), 40], 40, 0.3))
    assert stats.chisquare(found, kept.size * probability).pvalue > 1e-4


@pytest.mark.parametrize(
    ("low", "high"), [(0.05, 0.1), (0.1, 0.25), (0.25, 0.3), (0.3, 0.9), (0.5, 0.75)]
)
def test_levels_are_nested(levels, low, high):
    """The events of a lower level are among those of any higher one, and the rest is independent."""
    rest = levels[high] - levels[low]
    assert (rest >= 0).all()
    correlation = np.corrcoef(rest[:, 3], levels[low][:, 3])[0, 1]
    assert abs(correlation) <= 5 / np.sqrt(REPLICATES)


def test_neighbouring_fractions_differ_by_few_events():
    """Nested to the last digit of a float: 0.3 and its neighbours keep the same of a million events."""
    counts = np.full(1000, 1000)
    below, above = (thinned(counts, np.nextafter(0.3, to)) for to in (0.0, 1.0))
    np.testing.assert_array_equal(below, above)


def test_a_level_depends_on_its_names_alone():
    counts = np.full(50, 100)
    np.testing.assert_array_equal(thinned(counts, 0.4, "04/z065/r0"), thinned(counts, 0.4, "04/z065/r0"))
    assert (thinned(counts, 0.4, "04/z065/r0") != thinned(counts, 0.4, "04/z067/r0")).any()


def test_nothing_and_everything():
    counts = np.array([[0, 3], [70_000, 0]], dtype=np.int32)
    np.testing.assert_array_equal(thinned(counts, 1.0), counts)
    np.testing.assert_array_equal(thinned(counts, 0.0), 0 * counts)
    half = thinned(counts, 0.5)
    assert (half.shape, half.dtype) == (counts.shape, counts.dtype)
    assert half[1, 0] == pytest.approx(35_000, abs=5 * np.sqrt(17_500))


@pytest.mark.parametrize("fraction", [-0.1, 1.1, float("nan")])
def test_what_is_no_fraction_is_refused(fraction):
    with pytest.raises(ValueError, match="a fraction lies in"):
        thinned(np.ones(3, dtype=int), fraction)


@pytest.mark.parametrize(("fraction_of", "of_randoms"), [("time", 0.1), ("activity", 0.01)])
def test_a_measurement_keeps_the_square_of_its_activity_in_randoms(fraction_of, of_randoms):
    """And the fraction in everything else; a tenth of the time holds a tenth of the randoms too."""
    trues, scatter, randoms = 900_000, 500_000, 400_000
    standard = {
        "prompts": np.array([[trues + scatter + randoms]]),
        "random_prompts": np.array([[randoms]]),
        "delayed": np.array([[randoms]]),
        "scatter": np.array([[scatter]], dtype=np.float32),
        "counts_per_activity": np.array([7.0]),
        "expected_trues": np.array([trues]),
        "expected_scattered": np.array([scatter]),
        "expected_randoms": np.array([randoms]),
    }
    assert kept_of_randoms(0.1, fraction_of=fraction_of) == pytest.approx(of_randoms)
    kept = thin_measurement(
        standard,
        0.1,
        of_randoms=kept_of_randoms(0.1, fraction_of=fraction_of),
        thinned=lambda what, events, fraction: thinned(events, fraction, what),
    )
    assert kept.keys() == standard.keys()
    for name in ("counts_per_activity", "expected_trues", "expected_scattered", "scatter"):
        assert kept[name].sum() == pytest.approx(0.1 * standard[name].sum())
    assert kept["expected_randoms"][0] == pytest.approx(of_randoms * randoms)
    prompts = 0.1 * (trues + scatter) + of_randoms * randoms
    for name, mean in (
        ("prompts", prompts),
        ("random_prompts", of_randoms * randoms),
        ("delayed", of_randoms * randoms),
    ):
        assert kept[name][0, 0] == pytest.approx(mean, abs=5 * np.sqrt(mean)), name
    # Other randoms are kept in the delayed window than among the prompts.
    assert kept["random_prompts"][0, 0] != kept["delayed"][0, 0]


def test_a_measurement_without_background_keeps_a_part_of_its_prompts_alone():
    standard = {"prompts": np.full((1, 50, 50), 40), "counts_per_activity": np.array([2.0])}
    standard |= {f"expected_{name}": np.array([0.0]) for name in ("trues", "scattered", "randoms")}
    kept = thin_measurement(
        standard,
        0.25,
        of_randoms=0.0625,
        thinned=lambda what, events, fraction: thinned(events, fraction, what),
    )
    assert kept.keys() == standard.keys()
    assert kept["prompts"].mean() == pytest.approx(10.0, abs=5 * np.sqrt(10 * 0.75 / 2500))
