"""The table of whole subjects, and the section that shows it, from rows that are known."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy.stats import t

from quietpet.errors import InputError
from quietpet.evaluation.challenge import brain_outliers, region_bias
from quietpet.evaluation.leakage import leakage, pet_only_loss
from quietpet.evaluation.scoring import STANDARD
from quietpet.evaluation.subjects_section import BRAIN, LEAKAGE, LOSS, subjects_section
from quietpet.evaluation.subjects_table import SubjectsPlan, SubjectsRow, scale_of, subjects_rows
from quietpet.evaluation.whole_subjects import SUBJECT_COLUMNS
from quietpet.files.sections import render_markdown

PLAN = SubjectsPlan(methods=("lpet", "copier"), confidence=0.95, protocol="small")
RATIO, SCORE = "t1_only_all_rms_ratio", "brain_outlier_score"
GAIN = "t1_only_hot_mean_percent"


def measured(values: dict[tuple[str, str, str, str], float], against: str = "standard") -> pd.DataFrame:
    """Rows of (method, replicate, subject, measure): value."""
    rows = [
        ("phantom", "low", method, "own", replicate, "reference" if method == STANDARD else "single",
         subject, against, name, value, 7, "-", "-", "-")
        for (method, replicate, subject, name), value in values.items()
    ]  # fmt: skip
    return pd.DataFrame(rows, columns=SUBJECT_COLUMNS)


def values(name: str = RATIO) -> dict[tuple[str, str, str, str], float]:
    """Two trainings of a copier of three subjects, and the low dose."""
    found = {
        ("copier", replicate, subject, name): 10.0 * number + shift
        for number, subject in enumerate(("04", "05", "06"), start=1)
        for replicate, shift in (("r0", 0.0), ("r1", 1.0))
    }
    return found | {("lpet", "r0", subject, name): 0.0 for subject in ("04", "05", "06")}


def rows_of(
    found: dict[tuple[str, str, str, str], float], against: str = "standard"
) -> list[SubjectsRow]:
    return subjects_rows(measured(found, against), PLAN)


def test_means_are_over_subjects_of_means_over_trainings() -> None:
    low, copier = rows_of(values(GAIN))
    assert (low.method, low.mean, low.ci_low, low.n_replicates) == ("lpet", 0.0, 0.0, 1)
    assert (copier.mean, copier.n_subjects, copier.n_replicates, copier.count) == (20.5, 3, 2, 21)
    reach = t.ppf(0.975, 2) * 10 / 3**0.5
    assert (copier.ci_low, copier.ci_high) == pytest.approx((20.5 - reach, 20.5 + reach))
    assert copier.by_subject == "04: 10.5; 05: 20.5; 06: 30.5"


def of_subjects(name: str, *found: float) -> SubjectsRow:
    (row,) = rows_of({("copier", "r0", f"{n:02}", name): value for n, value in enumerate(found)})
    return row


def test_ratios_have_a_geometric_mean_and_the_interval_of_their_logarithm() -> None:
    """Turned over, they have the result turned over; and no end is below 0."""
    found = (0.3, 0.4, 1.2)
    logs = np.log(found)
    reach = t.ppf(0.975, 2) * logs.std(ddof=1) / 3**0.5
    row = of_subjects(RATIO, *found)
    expected = np.exp([logs.mean(), logs.mean() - reach, logs.mean() + reach])
    assert (row.mean, row.ci_low, row.ci_high) == pytest.approx(tuple(expected))
    turned = of_subjects(RATIO, *(1 / each for each in found))
    assert (turned.mean, turned.ci_high) == pytest.approx((1 / row.mean, 1 / row.ci_low))


def test_a_perfect_method_has_the_ratio_zero_and_a_single_zero_leaves_no_interval() -> None:
    perfect = of_subjects(RATIO, 0.0, 0.0, 0.0)
    assert (perfect.mean, perfect.ci_low, perfect.ci_high) == (0.0, 0.0, 0.0)
    mixed = of_subjects(RATIO, 0.0, 0.5, 0.6)
    assert (mixed.mean, mixed.ci_low, mixed.ci_high) == (0.0, None, None)
    assert of_subjects(RATIO, 0.5).ci_low is None


def test_shares_end_at_zero_and_one() -> None:
    row = of_subjects(SCORE, 0.99, 0.95)
    assert (row.mean, row.ci_high) == (pytest.approx(0.97), 1.0)
    assert row.ci_low == pytest.approx(0.97 - t.ppf(0.975, 1) * 0.02)
    assert of_subjects("brain_share_within_5_percent", 0.01, 0.05).ci_low == 0.0


@pytest.mark.parametrize("name", ["t1_only_hot_rms_percent", "region_bias_percent"])
def test_what_is_never_negative_has_its_mean_and_no_end_below_zero(name: str) -> None:
    row = of_subjects(name, 3.0, 4.0, 12.0)
    assert row.mean == pytest.approx(19 / 3)
    assert 0 < row.ci_low < row.mean < row.ci_high
    assert row.ci_low * row.ci_high == pytest.approx(row.mean**2)
    near = of_subjects(name, 100.0, 101.0, 102.0)
    reach = t.ppf(0.975, 2) / 3**0.5
    assert (near.ci_low, near.ci_high) == pytest.approx((101 - reach, 101 + reach), rel=1e-3)


def test_losses_gains_and_excesses_may_be_negative() -> None:
    made = [*leakage([], []), *pet_only_loss([], [])]
    signed = [each.name for each in made if scale_of(each.name) == "real"]
    assert {name.rpartition("_")[0].rpartition("_")[2] for name in signed} == {"mean", "excess", "loss"}
    assert of_subjects("pet_only_all_loss_percent", -1.0, 1.0).ci_low < -1


def test_the_standard_dose_is_there_once_and_first() -> None:
    """Every restoration's file has its rows."""
    own = {(STANDARD, "-", subject, RATIO): 0.5 for subject in ("04", "05", "06")}
    frame = pd.concat([measured(values(), "truth"), *[measured(own, "truth")] * 3], ignore_index=True)
    rows = subjects_rows(frame, PLAN)
    assert [row.method for row in rows] == [STANDARD, "lpet", "copier"]
    assert (rows[0].count, rows[0].n_subjects, rows[0].mean) == (21, 3, pytest.approx(0.5))


def test_lesions_are_shown_against_the_truth_where_it_is_known_and_the_brain_against_both() -> None:
    perfect = {("copier", "r0", s, RATIO): 0.0 for s in ("04", "05")}
    own = {(STANDARD, "-", s, RATIO): 0.8 for s in ("04", "05")}
    beside = {("copier", "r0", s, RATIO): 1.7 + 0.01 * int(s) for s in ("04", "05")}
    brain = {("copier", "r0", "04", SCORE): 0.5}
    frame = pd.concat([measured(perfect | own | brain, "truth"), measured(beside | brain)])
    section = subjects_section(subjects_rows(frame.reset_index(drop=True), PLAN), confidence=0.95)
    assert section.summary == (
        "`phantom/low`: in T1-only lesions none of 1 restorations is further from the truth than the "
        "low dose. The standard dose itself has 0.80 times."
    )
    leaked, *brains = section.tables
    assert [row["method"] for row in leaked.rows] == [STANDARD, "copier"]
    assert leaked.variant == "phantom/low, against the truth"
    assert [table.variant.rpartition(" ")[2] for table in brains] == ["truth", "dose"]


def test_without_a_truth_no_ratio_is_called_a_reference_point() -> None:
    summary = subjects_section(rows_of(values()), confidence=0.95).summary
    assert summary.endswith("Without the truth, 1 is no reference point.")


def test_a_subject_without_such_lesions_is_left_out_and_one_subject_has_no_interval() -> None:
    found = {key: value for key, value in values().items() if key[2] == "04"}
    found["lpet", "r0", "05", RATIO] = float("nan")
    low, copier = rows_of(found)
    assert (low.n_subjects, copier.n_subjects) == (1, 1)
    assert copier.ci_low is copier.ci_high is None


def test_trainings_that_were_measured_in_other_subjects_are_refused() -> None:
    found = values()
    del found["copier", "r1", "06", RATIO]
    with pytest.raises(InputError, match=r"trainings of 'copier' on phantom/low .* of '06' is missing"):
        rows_of(found)


def test_the_section_says_who_leaks_most_and_shows_what_there_is() -> None:
    section = subjects_section(rows_of(values()), confidence=0.95)
    assert "1 of 2 restorations are further from the standard dose" in section.summary
    assert "1 of them with an interval over subjects" in section.summary
    assert "`copier` (18.72 times)" in section.summary
    (table,) = section.tables
    assert table.variant == "phantom/low, against the standard dose"
    assert [row["method"] for row in table.rows] == ["lpet", "copier"]
    assert "| copier | own | 18.72 [" in render_markdown(section)
    sure = {key: 3.0 + 0.1 * value for key, value in values().items()}
    assert "2 of them with an interval" in subjects_section(rows_of(sure), confidence=0.95).summary
    unsure = {key: value / 10 for key, value in values().items()}
    assert "0 of them with an interval" in subjects_section(rows_of(unsure), confidence=0.95).summary
    none = subjects_section(rows_of({("lpet", "r0", "04", RATIO): 1.0}), confidence=0.95)
    assert "none of 1 restorations is further" in none.summary
    brain = subjects_section(rows_of({("lpet", "r0", "04", SCORE): 0.5}), confidence=0.95)
    assert brain.summary.startswith("`phantom/low` has no lesions that T1 alone shows")
    assert [each.caption for each in brain.tables] == ["Brain: outliers and region bias"]


def test_every_measure_has_a_column_but_for_the_inputs_own() -> None:
    none = pd.Series(dtype=float).to_numpy()
    made = [*leakage([], []), *pet_only_loss([], []), *brain_outliers(none, none, none.astype(bool))]
    names = {each.name for each in (*made, region_bias(none, none, {}))}
    columns = {*LEAKAGE, *LOSS, *BRAIN}
    assert columns < names
    assert all("_input_" in name for name in names - columns)
