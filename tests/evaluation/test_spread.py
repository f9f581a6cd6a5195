"""Spread against error of samples whose distribution is known."""

from __future__ import annotations

import numpy as np
import pytest

from quietpet.evaluation.spread import LITTLE_SPREAD, spread_to_error, spreads_little

VALUES = 200_000


def ratio(samples: np.ndarray, standard: np.ndarray) -> float:
    found = spread_to_error(
        samples.mean(axis=0), samples.std(axis=0, ddof=1), standard, samples=len(samples)
    )
    assert found is not None
    return found


@pytest.mark.parametrize("count", [2, 3, 8])
@pytest.mark.parametrize("share", [1.0, 0.3])
def test_the_ratio_is_that_of_endless_samples_however_few_there_are(count: int, share: float) -> None:
    """The standard dose errs by 2 around its mean; samples spread by a share of it around that mean."""
    rng = np.random.default_rng(count)
    mean = rng.uniform(0.0, 10.0, VALUES)
    standard = mean + 2.0 * rng.standard_normal(VALUES)
    samples = mean + share * 2.0 * rng.standard_normal((count, VALUES))
    assert ratio(samples, standard) == pytest.approx(share, rel=0.01)


def test_a_bias_of_all_samples_is_part_of_the_error() -> None:
    rng = np.random.default_rng(0)
    standard = rng.standard_normal(VALUES)
    samples = 1.0 + rng.standard_normal((2, VALUES))
    assert ratio(samples, standard) == pytest.approx(0.5**0.5, rel=0.01)


def test_a_true_sampler_with_a_bias_and_a_narrow_one_without_have_one_ratio() -> None:
    """What holds of both: a sample has 1 + ratio^2 times the squared error of endless samples' mean."""
    rng = np.random.default_rng(0)
    standard = rng.standard_normal(VALUES)
    biased = 2.0 + rng.standard_normal((2, VALUES))
    narrow = 5**-0.5 * rng.standard_normal((2, VALUES))
    for samples, of_endless in ((biased, 1.0 + 2.0**2), (narrow, 1.0)):
        found = ratio(samples, standard)
        assert found == pytest.approx(5**-0.5, rel=0.01)
        of_one = np.mean((samples[0] - standard) ** 2)
        assert of_one == pytest.approx((1 + found**2) * of_endless, rel=0.01)


def test_a_regression_has_no_spread() -> None:
    standard = np.arange(10.0)
    assert ratio(np.stack([standard + 1.0] * 3), standard) == 0.0


def test_without_an_error_there_is_no_ratio() -> None:
    standard = np.arange(10.0)
    assert spread_to_error(standard, np.zeros(10), standard, samples=2) is None


def test_a_sampler_whose_variance_is_a_tenth_of_its_squared_error_spreads_little() -> None:
    rng = np.random.default_rng(0)
    standard = rng.standard_normal(VALUES)
    hardly, truly = (share * rng.standard_normal((2, VALUES)) for share in (0.25, 1.0))
    assert spreads_little(ratio(hardly, standard))
    assert spreads_little(ratio(np.zeros((2, VALUES)), standard))
    assert not spreads_little(ratio(truly, standard))
    assert not spreads_little(0.32)
    assert not spreads_little(None)


def test_a_biased_sampler_spreads_little_for_its_error_and_the_words_leave_room_for_it() -> None:
    """It spreads by 10 % and errs by 40 %: the ratio cannot tell it from a regression."""
    rng = np.random.default_rng(0)
    standard = np.full(VALUES, 100.0)
    samples = 140.0 + 10.0 * rng.standard_normal((4, VALUES))
    assert ratio(samples, standard) == pytest.approx(0.25, rel=0.01)
    assert spreads_little(ratio(samples, standard))
    assert LITTLE_SPREAD == "in effect a regression, or a sampler that is off"
