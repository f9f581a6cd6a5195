"""Expected events and their draws against the definitions of their fractions and Poisson's law."""

from __future__ import annotations

from itertools import count

import numpy as np
import pytest

from quietpet.acquisition.background import randoms_per_coincidence, scatter_kernel
from quietpet.acquisition.events import draw_events, expected_events
from quietpet.geometry.scanner import SCANNERS

SCANNER = SCANNERS["small_test"]()
KERNEL = scatter_kernel(SCANNER, fwhm_mm=100.0)


def expected(*, scatter_fraction=0.37, randoms_fraction=0.3, activity=1.0, counts=2.0):
    """A strip of activity, seen by a third of the bins."""
    arriving = np.zeros(SCANNER.sinogram_shape, dtype=np.float32)
    third = SCANNER.n_bins // 3
    arriving[:, third : 2 * third] = activity
    normalisation = np.linspace(0.5, 1.0, SCANNER.n_bins, dtype=np.float32) * np.ones_like(arriving)
    return expected_events(
        arriving,
        normalisation,
        counts_per_activity=counts,
        scatter_kernel=KERNEL,
        scatter_fraction=scatter_fraction,
        randoms_per_coincidence=randoms_per_coincidence(randoms_fraction, activity=activity),
    )


def test_fractions_count_the_lines_that_see_activity():
    events = expected()
    seen = events.trues > 0
    trues, scatter, randoms = (
        each.sum(where=seen) for each in (events.trues, events.scatter, events.randoms)
    )
    assert scatter / (trues + scatter) == pytest.approx(0.37, rel=1e-5)
    assert randoms / (trues + scatter + randoms) == pytest.approx(0.3, rel=1e-5)
    totals = events.total_trues, events.total_scattered, events.total_randoms
    assert totals == pytest.approx((trues, scatter, randoms), rel=1e-5)
    assert events.scatter[~seen].max() > 0  # scatter and randoms know no object
    assert events.randoms[~seen].min() > 0


def test_coincidences_follow_the_activity_and_randoms_its_square():
    one, three = expected(), expected(activity=3.0)
    assert three.total_trues == pytest.approx(3 * one.total_trues, rel=1e-5)
    assert three.total_scattered == pytest.approx(3 * one.total_scattered, rel=1e-5)
    assert three.total_randoms == pytest.approx(9 * one.total_randoms, rel=1e-5)
    at_150 = randoms_per_coincidence(0.2, activity=150.0, stated_at=100.0)
    assert at_150 == pytest.approx(1.5 * 0.2 / 0.8)


def test_a_scan_without_scatter_and_randoms_counts_trues_alone():
    events = expected(scatter_fraction=0.0, randoms_fraction=0.0)
    assert events.scatter is None
    assert events.randoms is None
    assert (events.total_scattered, events.total_randoms) == (0, 0)
    (name,) = draw_events(events, lambda _: np.random.default_rng(0))
    assert name == "prompts"


def test_events_are_poisson_counts_of_what_is_expected():
    """Over 200 scans: mean = variance = T + S + R for prompts, R for both draws of randoms."""
    events, numbers, scans = expected(counts=0.5), count(), 200
    drawn = [draw_events(events, lambda _: np.random.default_rng(next(numbers))) for _ in range(scans)]
    randoms = events.randoms.sum(dtype=np.float64)
    everything = (events.trues + events.scatter).sum(dtype=np.float64) + randoms
    for name, mean in (("prompts", everything), ("random_prompts", randoms), ("delayed", randoms)):
        totals = np.array([each[name].sum() for each in drawn])
        assert totals.mean() == pytest.approx(mean, abs=4 * np.sqrt(mean / scans))
        assert totals.var(ddof=1) == pytest.approx(mean, rel=5 * np.sqrt(2 / scans))
        assert drawn[0][name].dtype == np.int32
    assert all((each["prompts"] >= each["random_prompts"]).all() for each in drawn)
    # The delayed window counts other randoms than those among the prompts.
    both = [(each["random_prompts"].sum(), each["delayed"].sum()) for each in drawn]
    assert abs(np.corrcoef(np.array(both).T)[0, 1]) < 4 / np.sqrt(scans)


def test_each_kind_is_drawn_by_its_name():
    events, asked = expected(), []

    def generator_of(kind):
        asked.append(kind)
        return np.random.default_rng(len(kind))

    draw_events(events, generator_of)
    assert sorted(asked) == ["delayed", "prompts", "randoms"]
