"""Statistics against closed forms, normal theory and simulated subjects."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
import pytest

from quietpet.errors import InputError
from quietpet.evaluation.statistics import (
    SliceValues,
    Summary,
    sample_std,
    summarise,
    t_interval,
    variance_components,
)

REPEATS = 1000
"""Of the coverage checks, whose standard error is then 0.007."""


def scores(values: np.ndarray, subjects: Sequence[str]) -> pd.DataFrame:
    """Long rows of ``values`` (replicate, slice)."""
    return pd.DataFrame(
        {"replicate": str(replicate), "subject": subject, "key": f"{subject}_{index}", "value": value}
        for replicate, row in enumerate(values)
        for index, (subject, value) in enumerate(zip(subjects, row, strict=True))
    )


def summary(values: np.ndarray, subjects: Sequence[str]) -> Summary:
    return summarise(SliceValues.from_scores(scores(values, subjects)), confidence=0.95)


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


def test_the_interval_is_students_over_the_means_of_subjects() -> None:
    """Means 1.5, 3, 6 of 2, 1 and 3 slices: t of 2 degrees is 4.3027 (any table), s = 2.2913."""
    values = np.array([[1.0, 2.0, 3.0, 5.0, 6.0, 7.0]])
    found = summary(values, ["a", "a", "b", "c", "c", "c"])
    assert found.mean == pytest.approx(4.0), "over slices, as published"
    assert found.subject_mean == pytest.approx(3.5), "over subjects, whatever their slices"
    reach = 4.302653 * 2.2912878 / np.sqrt(3)
    assert (found.ci_low, found.ci_high) == pytest.approx((3.5 - reach, 3.5 + reach), rel=1e-6)


def test_two_subjects_have_the_interval_of_one_degree_of_freedom() -> None:
    """Of one degree, the quantile is tan(pi (p - 1/2)): that of Cauchy's distribution."""
    low, high = t_interval(np.array([1.0, 3.0]), confidence=0.9)
    reach = np.tan(np.pi * 0.45)
    assert (low, high) == pytest.approx((2 - reach, 2 + reach))


def test_repeating_the_slices_of_a_subject_adds_no_certainty() -> None:
    values, subjects = np.random.default_rng(4).normal(size=8), list("abcdefgh")
    once = summary(values[None], subjects)
    often = summary(np.repeat(values, 10)[None], list(np.repeat(subjects, 10)))
    assert (often.ci_low, often.ci_high) == pytest.approx((once.ci_low, once.ci_high))
    other = summary(np.repeat(values, [30, 1, 1, 1, 1, 1, 1, 1])[None], ["a"] * 30 + subjects[1:])
    assert (other.ci_low, other.ci_high) == pytest.approx((once.ci_low, once.ci_high))


def test_order_of_slices_means_nothing() -> None:
    values, subjects = np.arange(12.0), np.repeat(["a", "b", "c"], 4)
    order = np.random.default_rng(0).permutation(12)
    first, second = summary(values[None], subjects), summary(values[None, order], subjects[order])
    assert (first.ci_low, first.ci_high) == pytest.approx((second.ci_low, second.ci_high))


def drawn_scores(
    rng: np.random.Generator, *, slices: Sequence[int], skewed: bool
) -> tuple[list[np.ndarray], float]:
    """Slices (repeat, slice) of each subject, and their expected value; subjects differ as slices do."""
    groups = []
    for count in slices:
        subject = rng.normal(size=(REPEATS, 1))
        values = 0.5 * (subject + rng.normal(size=(REPEATS, count)))
        groups.append(np.exp(0.3 * values) if skewed else values)
    return groups, float(np.exp(0.3**2 * 0.5 / 2)) if skewed else 0.0


@pytest.mark.parametrize("skewed", [False, True], ids=["normal", "log_normal"])
@pytest.mark.parametrize("unequal", [False, True], ids=["equal_slices", "unequal_slices"])
@pytest.mark.parametrize("subjects", [3, 5, 10])
def test_intervals_cover_what_they_say(subjects: int, *, unequal: bool, skewed: bool) -> None:
    """Within 3 points of nominal, through the function that makes the rows."""
    rng = np.random.default_rng([subjects, unequal, skewed])
    slices = (
        [1 + 9 * (unequal and number % 2) for number in range(subjects)] if unequal else [4] * subjects
    )
    groups, expected = drawn_scores(rng, slices=slices, skewed=skewed)
    means = np.stack([group.mean(axis=1) for group in groups], axis=1)
    for confidence in (0.95, 0.9):
        intervals = [t_interval(each, confidence=confidence) for each in means]
        covered = np.mean([low <= expected <= high for low, high in intervals])
        assert covered == pytest.approx(confidence, abs=0.03)


def test_a_row_has_the_interval_whose_coverage_is_checked() -> None:
    rng = np.random.default_rng(6)
    groups, _ = drawn_scores(rng, slices=[2, 5, 1], skewed=False)
    values = np.concatenate([group[0] for group in groups])
    found = summary(values[None], ["a"] * 2 + ["b"] * 5 + ["c"])
    expected = t_interval(np.array([group[0].mean() for group in groups]), confidence=0.95)
    assert (found.ci_low, found.ci_high) == pytest.approx(expected)


def test_infinite_psnr_leaves_spread_empty() -> None:
    found = summary(np.array([[30.0, np.inf]]), ["a", "b"])
    assert found.mean == np.inf
    assert (found.std, found.ci_low, found.ci_high) == (None, None, None)


def test_sample_std_needs_two_values() -> None:
    assert sample_std(np.array([1.0])) is None


def test_replicates_on_different_slices_are_refused() -> None:
    both = scores(np.array([[1.0, 2.0], [3.0, 4.0]]), ["04", "05"])
    with pytest.raises(InputError, match="different slices: slice '05_1'"):
        SliceValues.from_scores(both.iloc[:-1])


def test_components_of_a_sum_of_subjects_and_trainings() -> None:
    """y = a + b has no residual, and the variances of a and b."""
    subjects, trainings = np.array([1.0, 2.0, 6.0]), np.array([0.0, 4.0])
    found = variance_components(subjects[:, None] + trainings[None, :])
    assert found.subject_std**2 == pytest.approx(7.0)
    assert found.training_std**2 == pytest.approx(8.0)
    assert found.residual_std == pytest.approx(0.0, abs=1e-12)


def test_components_by_hand() -> None:
    """[[0, 0], [0, 4]]: all mean squares are 4, so that nothing differs beyond the residual."""
    found = variance_components(np.array([[0.0, 0.0], [0.0, 4.0]]))
    assert (found.subject_std, found.training_std, found.residual_std) == (0.0, 0.0, pytest.approx(2.0))


def test_components_are_those_that_were_drawn() -> None:
    """Estimates of variances are unbiased while none of them is cut off at 0."""
    rng = np.random.default_rng(2)
    n, r = 12, 9
    squares = np.zeros(3)
    for _ in range(REPEATS):
        values = 3 * rng.normal(size=(n, 1)) + 2 * rng.normal(size=r) + rng.normal(size=(n, r))
        found = variance_components(values)
        squares += np.square([found.subject_std, found.training_std, found.residual_std])
    # 4 standard errors of the mean of 1000 chi-square variables of n - 1, r - 1, (n - 1)(r - 1) degrees
    assert squares / REPEATS == pytest.approx([9, 4, 1], rel=4 * np.sqrt(2 / (8 * REPEATS)), abs=0)


def test_components_agree_with_restricted_maximum_likelihood() -> None:
    """Of a balanced table both are the same where no component is 0 (Searle et al. 1992, sec. 3.8)."""
    from statsmodels.regression.mixed_linear_model import MixedLM

    rng = np.random.default_rng(5)
    values = 2 * rng.normal(size=(6, 1)) + 1.5 * rng.normal(size=4) + 0.7 * rng.normal(size=(6, 4))
    found = variance_components(values)
    table = pd.DataFrame(
        [(y, i, j) for (i, j), y in np.ndenumerate(values)], columns=["y", "subject", "training"]
    )
    effects = {"subject": "0 + C(subject)", "training": "0 + C(training)"}
    model = MixedLM.from_formula("y ~ 1", table, groups=np.ones(len(table)), vc_formula=effects)
    fitted = model.fit(reml=True)
    expected = dict(zip(model.exog_vc.names, fitted.vcomp, strict=True))
    assert found.subject_std**2 == pytest.approx(expected["subject"], rel=1e-3)
    assert found.training_std**2 == pytest.approx(expected["training"], rel=1e-3)
    assert found.residual_std**2 == pytest.approx(fitted.scale, rel=1e-3)


@pytest.mark.parametrize("shape", [(1, 3), (3, 1)])
def test_one_subject_or_training_has_no_components(shape: tuple[int, int]) -> None:
    assert variance_components(np.ones(shape)) is None
