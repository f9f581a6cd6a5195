"""Paired differences against closed forms, published examples, other programs and simulated studies."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from scipy.special import gammaln
from statsmodels.stats.multitest import multipletests

from quietpet.evaluation.paired import (
    BETTER,
    HIGHER,
    LOWER,
    SAME,
    UNCLEAR,
    UNTESTED,
    WORSE,
    Measured,
    PairedDifference,
    holm,
    judge,
    least_wilcoxon_p,
    least_wilcoxon_subjects,
    paired_difference,
    pooled_between_trainings,
    verdict,
    wilcoxon_p,
    wilcoxon_reason,
)

REPEATS = 1000

# Hollander and Wolfe, Nonparametric Statistical Methods (1973), p. 29: depression scale of nine patients
# at two visits. The signed-rank statistic is 40, its two-sided p 20 / 512.
FIRST_VISIT = np.array([1.83, 0.50, 1.62, 2.48, 1.68, 1.88, 1.55, 3.06, 1.30])
SECOND_VISIT = np.array([0.878, 0.647, 0.598, 2.05, 1.06, 1.29, 1.06, 3.14, 1.29])


def measured(values: object, *, method: str = "unet", trained: bool = True) -> Measured:
    return Measured(method=method, values=np.asarray(values, dtype=float), trained=trained)


def difference(found: Measured, reference: Measured) -> PairedDifference:
    return paired_difference(found, reference, confidence=0.95)


def untrained(values: object) -> PairedDifference:
    """Of differences by subject, of two methods that learn nothing."""
    column = np.asarray(values, dtype=float)[:, None]
    return difference(
        measured(column + 20, method="gaussian", trained=False),
        measured(np.full_like(column, 20), method="lpet", trained=False),
    )


def signed_rank_p(differences: np.ndarray) -> float:
    """Of all 2^n signs, the share with a statistic as far from its mean; mid-ranks for ties."""
    size = np.abs(differences[differences != 0])
    ranks = np.array([(size < each).sum() + ((size == each).sum() + 1) / 2 for each in size])
    observed = ranks[differences[differences != 0] > 0].sum()
    signs = np.array(list(product([0, 1], repeat=len(ranks))))
    away = np.abs(signs @ ranks - ranks.sum() / 2)
    return float(np.mean(away >= abs(observed - ranks.sum() / 2) - 1e-9))


def test_signed_ranks_of_a_published_example() -> None:
    assert wilcoxon_p(FIRST_VISIT - SECOND_VISIT, level=0.05) == pytest.approx(20 / 512)


@pytest.mark.parametrize("kind", ["normal", "ties", "zeros"])
@pytest.mark.parametrize("subjects", [6, 8, 10])
def test_signed_ranks_are_those_of_all_signs(subjects: int, kind: str) -> None:
    rng = np.random.default_rng([subjects, len(kind)])
    for _ in range(5):
        differences = rng.normal(0.5, 1.0, subjects + (kind == "zeros"))
        if kind == "ties":
            differences = np.sign(differences) * (1 + np.round(2 * np.abs(differences)))
        if kind == "zeros":
            differences[0] = 0.0
        assert wilcoxon_p(differences, level=0.05) == pytest.approx(signed_rank_p(differences))


def test_holm_is_statsmodels_and_keeps_gaps() -> None:
    rng = np.random.default_rng(0)
    for size in (1, 2, 16):
        p = list(rng.uniform(0, 0.2, size) ** 2)
        assert holm(p) == pytest.approx(multipletests(p, method="holm")[1])
    assert holm([0.01, None, 0.04]) == [pytest.approx(0.02), None, pytest.approx(0.04)]
    assert holm([None]) == [None]
    assert holm([]) == []


def test_wilcoxon_with_holm_over_a_family_is_that_of_all_signs_and_statsmodels() -> None:
    rng = np.random.default_rng(1)
    family = rng.normal([0.2, 0.8, 1.5, 2.5], 1.0, (10, 4)).T
    found = holm([wilcoxon_p(each, level=0.05) for each in family])
    expected = multipletests([signed_rank_p(each) for each in family], method="holm")[1]
    assert found == pytest.approx(expected)


@pytest.mark.parametrize("subjects", [1, 2, 5, 6, 9])
def test_the_least_p_is_that_of_equal_signs(subjects: int) -> None:
    differences = np.arange(1.0, subjects + 1)
    assert least_wilcoxon_p(subjects) == pytest.approx(signed_rank_p(differences))


def test_five_subjects_cannot_be_tested_by_signs_and_sixteen_comparisons_need_ten() -> None:
    five, ten = untrained([1, 2, 3, 4, 5]), untrained(np.arange(1, 11))
    assert five.wilcoxon_p is None
    assert wilcoxon_reason(five, family=1, confidence=0.95) == (
        "not testable: p of 5 differing subject(s) is at least 0.0625"
    )
    nine = untrained(np.arange(1, 10))
    assert nine.wilcoxon_p == pytest.approx(2 / 512)
    assert wilcoxon_reason(nine, family=1, confidence=0.95) == ""
    assert wilcoxon_reason(nine, family=16, confidence=0.95).startswith(
        "not testable: p of 9 differing subjects and 16 comparisons is at least 0.0625"
    )
    assert wilcoxon_reason(ten, family=16, confidence=0.95) == ""


@pytest.mark.parametrize(
    ("confidence", "family", "needed"),
    [(0.95, 1, 6), (0.95, 16, 10), (0.9, 1, 5), (0.9, 16, 9), (0.99, 1, 8), (0.5, 1, 2)],
)
def test_the_subjects_that_signed_ranks_need_are_the_first_that_are_not_refused(
    confidence: float, family: int, needed: int
) -> None:
    assert least_wilcoxon_subjects(family=family, level=1 - confidence) == needed
    for subjects in range(2, 12):
        differing = untrained(np.arange(1.0, subjects + 1))
        refused = wilcoxon_reason(differing, family=family, confidence=confidence)
        assert bool(refused) == (subjects < needed)


def test_effect_sizes_by_hand() -> None:
    """Differences 1, 2, 3, 6: mean 3, s = sqrt(14 / 3); J of 3 degrees as Hedges (1981) has it."""
    found = untrained([1, 2, 3, 6])
    dz = 3 / np.sqrt(14 / 3)
    assert found.cohens_dz == pytest.approx(dz)
    factor = np.exp(gammaln(1.5) - gammaln(1.0)) / np.sqrt(1.5)
    assert found.hedges_gz == pytest.approx(factor * dz)
    assert factor == pytest.approx(0.7236, abs=1e-4), "Hedges 1981, table 1"


def test_the_p_of_subjects_is_that_of_students_paired_test() -> None:
    from scipy.stats import ttest_rel

    found = difference(
        measured(FIRST_VISIT[:, None], method="gaussian", trained=False),
        measured(SECOND_VISIT[:, None], method="lpet", trained=False),
    )
    expected = ttest_rel(FIRST_VISIT, SECOND_VISIT)
    assert found.p == pytest.approx(expected.pvalue)
    assert found.interval == pytest.approx(tuple(expected.confidence_interval(0.95)))
    assert found.total_interval == pytest.approx(found.interval), "nothing was trained"
    assert found.total_p == pytest.approx(found.p)


def test_trainings_of_both_methods_widen_the_interval_by_hand() -> None:
    """Subjects differ by 1, 2, 3 (s^2 / n = 1/3), trainings by 0.5 and 1 (variances / 2: 1/4, 1)."""
    found = difference(
        measured(np.array([[1.0], [2.0], [3.0]]) + 20 + np.array([-0.5, 0.5])),
        measured(np.full((3, 1), 20.0) + np.array([-1.0, 1.0]), method="mfdiff"),
    )
    variance = 1 / 3 + 1 / 4 + 1
    freedom = variance**2 / ((1 / 3) ** 2 / 2 + (1 / 4) ** 2 / 1 + 1**2 / 1)
    from scipy.stats import t

    reach = t.ppf(0.975, freedom) * np.sqrt(variance)
    assert found.mean == pytest.approx(2.0)
    assert found.total_interval == pytest.approx((2 - reach, 2 + reach))
    assert found.total_p == pytest.approx(2 * t.sf(2 / np.sqrt(variance), freedom))


def drawn(
    rng: np.random.Generator, *, subjects: int, trainings: int, training_std: float, shift: float = 0.0
) -> tuple[Measured, Measured]:
    """Two methods whose expected difference is ``shift``, of the same subjects, trained on their own."""
    heads = rng.normal(size=(subjects, 1))
    methods = []
    for own in (shift, 0.0):
        values = own + 3 * heads + rng.normal(0, 0.5, (subjects, 1))
        values = values + training_std * rng.normal(size=trainings)
        methods.append(measured(values + 0.2 * rng.normal(size=(subjects, trainings))))
    return methods[0], methods[1]


@pytest.mark.parametrize(("subjects", "trainings"), [(3, 2), (5, 2), (5, 4), (10, 2)])
@pytest.mark.parametrize("training_std", [0.0, 2.0])
def test_intervals_over_subjects_and_trainings_hold_the_difference(
    subjects: int, training_std: float, trainings: int
) -> None:
    """Of other subjects and other seeds; where trainings differ, that over subjects alone does not."""
    rng = np.random.default_rng([subjects, int(2 * training_std), trainings])
    covered, alone = [], []
    for _ in range(REPEATS):
        pair = difference(*drawn(rng, subjects=subjects, trainings=trainings, training_std=training_std))
        covered.append(pair.total_interval[0] <= 0 <= pair.total_interval[1])
        alone.append(pair.interval[0] <= 0 <= pair.interval[1])
    assert np.mean(covered) > 0.92
    if training_std == 0:
        assert np.mean(alone) == pytest.approx(0.95, abs=0.03)
    if training_std == 2:
        assert np.mean(alone) < 0.8


EQUAL = 16
"""Methods that are compared with one more, which differs from none of them."""


def equal_methods(
    rng: np.random.Generator, *, subjects: int, trainings: int, training_std: np.ndarray
) -> list[PairedDifference]:
    """Of one study; ``training_std`` of each of the methods, the one compared with first."""
    of_methods = (len(training_std), 1, 1)
    values = 3 * rng.normal(size=(subjects, 1)) + rng.normal(0, 0.5, (len(training_std), subjects, 1))
    values = values + training_std.reshape(of_methods) * rng.normal(
        size=(len(training_std), 1, trainings)
    )
    values = values + 0.2 * rng.normal(size=(len(training_std), subjects, trainings))
    least = pooled_between_trainings(values)
    reference, *others = (
        Measured(method="unet", values=each, trained=True, least_variance=least) for each in values
    )
    return [difference(each, reference) for each in others]


@pytest.mark.parametrize("varying", ["none", "half", "all"])
@pytest.mark.parametrize(("subjects", "trainings"), [(5, 2), (10, 3), (20, 5)])
def test_no_word_is_said_of_equal_methods_in_most_studies(
    monkeypatch: pytest.MonkeyPatch, subjects: int, trainings: int, varying: str
) -> None:
    """Sixteen methods, none of which differs: a word for any of them in at most 5 % of studies."""
    monkeypatch.setattr("quietpet.evaluation.paired.wilcoxon_p", lambda *_, **__: None)  # slow, no word
    methods = np.arange(EQUAL + 1)
    training_std = {"none": 0.0 * methods, "half": methods % 2.0, "all": methods**0.0}[varying]
    rng = np.random.default_rng([subjects, trainings, len(varying)])
    studies, wrong = REPEATS // 5, 0
    for _ in range(studies):
        pairs = equal_methods(rng, subjects=subjects, trainings=trainings, training_std=training_std)
        words = {each.verdict.word for each in judge(pairs, better=1, confidence=0.95)}
        wrong += bool({BETTER, WORSE} & words)
    assert wrong / studies < 0.05 + 0.03


def test_a_family_is_corrected_over_subjects_and_over_subjects_and_trainings() -> None:
    """Five subjects, three trainings; the p of each kind as statsmodels corrects them."""
    rng = np.random.default_rng(4)
    reference = measured(rng.normal(20, 0.1, (5, 3)), method="mfdiff")
    family = [
        difference(measured(gain + rng.normal(20, 0.1, (5, 3))), reference)
        for gain in (0.1, 0.2, 0.3, 2.0)
    ]
    judged = judge(family, better=1, confidence=0.95)
    for found, raw in (
        ([each.p_holm for each in judged], [pair.p for pair in family]),
        ([each.total_p_holm for each in judged], [pair.total_p for pair in family]),
    ):
        assert found == pytest.approx(multipletests(raw, method="holm")[1])
    assert judged[-1].verdict.word == BETTER


def test_a_difference_that_correction_for_the_family_takes_away_over_trainings_is_not_shown() -> None:
    """Alone it is better; beside fifteen methods its p over subjects and trainings is too large."""
    subjects = np.array([[1.0], [2.0], [3.0], [4.0], [5.0]])
    trainings = np.array([-0.5, 0.0, 0.5])
    reference = measured(subjects, method="lpet", trained=False)
    near = difference(measured(1.01 * subjects + 1.5 + trainings), reference)
    assert near.total_interval[0] > 0
    assert 0.05 / 16 < near.total_p < 0.05
    assert 16 * near.p < 0.05
    (alone,) = judge([near], better=1, confidence=0.95)
    assert alone.verdict.word == BETTER
    equal = untrained([-2.0, -1.0, 0.0, 1.0, 2.5])
    first, *_ = judge([near, *[equal] * 15], better=1, confidence=0.95)
    assert first.total_p_holm == pytest.approx(16 * near.total_p)
    assert (first.verdict.word, first.verdict.reason) == (
        UNCLEAR,
        "not after Holm's correction of p over subjects and trainings",
    )


def test_the_pooled_variance_between_trainings_by_hand() -> None:
    """Of means 0, 2 (variance 2, one degree) and 1, 2, 3 (1, two degrees); one training has none."""
    tables = (np.array([[-1.0, 1.0], [1.0, 3.0]]), np.array([[1.0, 2.0, 3.0]]), np.ones((2, 1)))
    assert pooled_between_trainings(tables) == pytest.approx((1 * 2 + 2 * 1) / 3)
    assert pooled_between_trainings([np.ones((2, 1))]) == 0.0
    alike = Measured(method="unet", values=np.ones((3, 2)), trained=True, least_variance=0.5)
    assert alike.training_variance == pytest.approx(0.25)


def word(
    pair: PairedDifference,
    *,
    p_holm: float | None = 0.001,
    total_p_holm: float | None = 0.001,
    better: int = 1,
) -> tuple[str, str]:
    found = verdict(
        pair, p_holm=p_holm, total_p_holm=total_p_holm, family=4, better=better, confidence=0.95
    )
    return found.word, found.reason


def test_words_follow_the_direction_of_the_metric() -> None:
    above = untrained([2.0, 2.1, 2.2])
    assert word(above) == (BETTER, "")
    assert word(above, better=-1) == (WORSE, "")
    assert word(above, better=0) == (HIGHER, "")
    assert word(untrained([-2.0, -2.1, -2.2]), better=0) == (LOWER, "")


def test_nothing_is_said_without_its_reason() -> None:
    assert word(untrained([2.0, 2.1])) == (UNTESTED, "2 subjects, at least 3 are needed")
    assert word(untrained([2.0])) == (UNTESTED, "1 subject, at least 3 are needed")
    assert word(untrained([0.0, 0.0, 0.0])) == (SAME, "the same values in every subject")
    assert word(untrained([2.0, np.inf, 2.2])) == (UNTESTED, "infinite values")
    assert word(untrained([-2.0, 2.0, 2.2])) == (UNCLEAR, "the interval over subjects holds 0")
    assert word(untrained([2.0, 2.1, 2.2]), p_holm=0.051) == (
        UNCLEAR,
        "not after Holm's correction for 4 comparisons",
    )
    assert word(untrained([2.0, 2.1, 2.2]), total_p_holm=0.051) == (
        UNCLEAR,
        "not after Holm's correction of p over subjects and trainings",
    )


def test_one_training_says_nothing_of_other_seeds() -> None:
    subjects = np.array([[1.0], [2.0], [3.0]])
    pair = difference(
        measured(subjects + 2 + 0.01 * subjects), measured(subjects, method="lpet", trained=False)
    )
    assert pair.interval[0] > 0
    assert (pair.total_interval, pair.total_p) == (None, None)
    assert word(pair, p_holm=pair.p) == (
        UNTESTED,
        "one training of unet: what another seed changes is not known",
    )


def test_trainings_that_differ_by_more_than_the_methods_show_nothing() -> None:
    subjects = np.array([[1.0], [2.0], [3.0]])
    pair = difference(
        measured(subjects + 0.01 * subjects + np.array([0.0, 4.0])),
        measured(subjects, method="lpet", trained=False),
    )
    assert pair.interval[0] > 0
    assert word(pair) == (UNCLEAR, "the interval over subjects and trainings holds 0")


def test_what_float32_does_not_resolve_is_no_difference() -> None:
    pair = untrained([1e-6, -3e-6, 2e-6])
    assert pair.by_subject == (0.0, 0.0, 0.0)
    assert word(pair)[0] == SAME


def test_infinite_values_of_both_are_no_difference_that_could_be_tested() -> None:
    infinite = measured([[np.inf], [30.0], [31.0]], trained=False)
    pair = difference(infinite, infinite)
    assert word(pair)[0] == UNTESTED
    assert (pair.interval, pair.p, pair.wilcoxon_p) == (None, None, None)


def test_differences_without_spread_have_no_effect_size() -> None:
    pair = untrained([2.0, 2.0, 2.0])
    assert (pair.cohens_dz, pair.hedges_gz) == (None, None)
    assert pair.p == 0.0
