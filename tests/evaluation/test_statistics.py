"""Statistics against closed forms and normal theory."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
import pytest

from quietpet.errors import InputError
from quietpet.evaluation.statistics import (
    Summary,
    sample_std,
    subject_bootstrap_interval,
    summarise,
)


def scores(values: np.ndarray, subjects: Sequence[str]) -> pd.DataFrame:
    """Long rows of ``values`` (replicate, slice)."""
    return pd.DataFrame(
        {"replicate": str(replicate), "subject": subject, "key": f"{subject}_{index}", "value": value}
        for replicate, row in enumerate(values)
        for index, (subject, value) in enumerate(zip(subjects, row, strict=True))
    )


def summary(values: np.ndarray, subjects: Sequence[str]) -> Summary:
    rng = np.random.default_rng(1)
    return summarise(scores(values, subjects), rng=rng, resamples=500, confidence=0.95)


def interval(values: np.ndarray, subjects: np.ndarray, resamples: int = 4000) -> tuple[float, float]:
    return subject_bootstrap_interval(
        values, subjects, rng=np.random.default_rng(0), resamples=resamples, confidence=0.95
    )


def test_mean_and_sample_std_over_slices() -> None:
    found = summary(np.array([[1.0, 2.0, 3.0, 6.0]]), ["04", "04", "05", "05"])
    assert found.mean == 3.0
    assert found.std == pytest.approx(np.sqrt((4 + 1 + 0 + 9) / 3))
    assert (found.n_subjects, found.n_slices, found.n_replicates) == (2, 4, 1)
    assert found.seed_std is None


def test_replicates_are_averaged_before_the_std_over_slices() -> None:
    # Opposite errors of the two trainings cancel slice by slice, but their means differ by 2.
    values = np.array([[1.0, 2.0, 3.0], [5.0, 4.0, 3.0]])
    found = summary(values, ["a", "b", "c"])
    assert found.mean == 3.0
    assert found.std == pytest.approx(0.0)
    assert found.seed_std == pytest.approx(np.sqrt(2.0))
    assert (found.n_slices, found.n_replicates) == (3, 2)


def test_one_subject_has_no_interval() -> None:
    found = summary(np.array([[1.0, 2.0, 3.0]]), ["04", "04", "04"])
    assert (found.ci_low, found.ci_high, found.n_subjects) == (None, None, 1)


def test_interval_follows_normal_theory() -> None:
    rng = np.random.default_rng(3)
    values = rng.normal(20.0, 2.0, 300)
    low, high = interval(values, np.arange(300).astype(str))
    half_width = 1.96 * values.std() / np.sqrt(300)
    assert low == pytest.approx(values.mean() - half_width, abs=0.1 * half_width)
    assert high == pytest.approx(values.mean() + half_width, abs=0.1 * half_width)


def test_repeating_the_slices_of_a_subject_adds_no_certainty() -> None:
    rng = np.random.default_rng(4)
    values, subjects = rng.normal(size=40), np.arange(40).astype(str)
    once = interval(values, subjects)
    assert interval(np.repeat(values, 10), np.repeat(subjects, 10)) == pytest.approx(once)


def test_two_subjects_have_three_possible_means() -> None:
    # Draws (a,a), (a,b), (b,b) have the probabilities 1/4, 1/2, 1/4.
    low, high = interval(np.array([1.0, 1.0, 4.0]), np.array(["a", "a", "b"]))
    assert (low, high) == (1.0, 4.0)


def test_interval_depends_on_neither_slice_order_nor_global_state() -> None:
    values, subjects = np.arange(12.0), np.repeat(["a", "b", "c"], 4)
    order = np.random.default_rng(0).permutation(12)
    assert interval(values[order], subjects[order]) == pytest.approx(interval(values, subjects))


def test_infinite_psnr_leaves_spread_empty() -> None:
    found = summary(np.array([[30.0, np.inf]]), ["a", "b"])
    assert found.mean == np.inf
    assert (found.std, found.ci_low, found.ci_high) == (None, None, None)


def test_sample_std_needs_two_values() -> None:
    assert sample_std(np.array([1.0])) is None


def test_replicates_on_different_slices_are_refused() -> None:
    both = scores(np.array([[1.0, 2.0], [3.0, 4.0]]), ["04", "05"])
    with pytest.raises(InputError, match="different slices: slice '05_1'"):
        summarise(both.iloc[:-1], rng=np.random.default_rng(), resamples=100, confidence=0.95)
