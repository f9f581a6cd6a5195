"""The table of whole subjects, and the section that shows it, from rows that are known."""

from __future__ import annotations

import pandas as pd
import pytest
from scipy.stats import t

from quietpet.errors import InputError
from quietpet.evaluation.challenge import brain_outliers, region_bias
from quietpet.evaluation.leakage import leakage, pet_only_loss
from quietpet.evaluation.subjects_section import BRAIN, LEAKAGE, LOSS, subjects_section
from quietpet.evaluation.subjects_table import SubjectsPlan, SubjectsRow, subjects_rows
from quietpet.evaluation.whole_subjects import SUBJECT_COLUMNS
from quietpet.files.sections import render_markdown

PLAN = SubjectsPlan(methods=("lpet", "copier"), confidence=0.95, protocol="small")
RATIO, SCORE = "t1_only_all_rms_ratio", "brain_outlier_score"


def measured(values: dict[tuple[str, str, str, str], float]) -> pd.DataFrame:
    """Rows of (method, replicate, subject, measure): value."""
    rows = [
        ("phantom", "low", method, "own", replicate, "single", subject, name, value, 7, "-", "-", "-")
        for (method, replicate, subject, name), value in values.items()
    ]
    return pd.DataFrame(rows, columns=SUBJECT_COLUMNS)


def values() -> dict[tuple[str, str, str, str], float]:
    """Two trainings of a copier of three subjects, and the low dose."""
    found = {
        ("copier", replicate, subject, RATIO): 10.0 * number + shift
        for number, subject in enumerate(("04", "05", "06"), start=1)
        for replicate, shift in (("r0", 0.0), ("r1", 1.0))
    }
    return found | {("lpet", "r0", subject, RATIO): 0.0 for subject in ("04", "05", "06")}


def rows_of(found: dict[tuple[str, str, str, str], float]) -> list[SubjectsRow]:
    return subjects_rows(measured(found), PLAN)


def test_means_are_over_subjects_of_means_over_trainings() -> None:
    low, copier = rows_of(values())
    assert (low.method, low.mean, low.ci_low, low.n_replicates) == ("lpet", 0.0, 0.0, 1)
    assert (copier.mean, copier.n_subjects, copier.n_replicates, copier.count) == (20.5, 3, 2, 21)
    reach = t.ppf(0.975, 2) * 10 / 3**0.5
    assert (copier.ci_low, copier.ci_high) == pytest.approx((20.5 - reach, 20.5 + reach))
    assert copier.by_subject == "04: 10.5; 05: 20.5; 06: 30.5"


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
    assert "1 of 2 restorations gain more" in section.summary
    assert "0 of them with an interval over subjects" in section.summary
    assert "`copier` (20.50 times)" in section.summary
    (table,) = section.tables
    assert table.variant == "phantom/low"
    assert [row["method"] for row in table.rows] == ["lpet", "copier"]
    assert "| copier | own | 20.50 [" in render_markdown(section)
    sure = {key: 3.0 + 0.1 * value for key, value in values().items()}
    assert "2 of them with an interval" in subjects_section(rows_of(sure), confidence=0.95).summary
    none = subjects_section(rows_of({("lpet", "r0", "04", RATIO): 1.0}), confidence=0.95)
    assert "none of 1 restorations gains more" in none.summary
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
