"""What the section and the figure say of rows that are known."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

import pytest

from quietpet.errors import InputError
from quietpet.evaluation.detection import HIGHER, LOWER, DetectionRow
from quietpet.evaluation.detection_figure import draw_detection, kind_of, names_of
from quietpet.evaluation.detection_section import detection_section
from quietpet.evaluation.paired import UNCLEAR
from quietpet.files.sections import render_markdown


def row(method: str, **changed: Any) -> DetectionRow:
    known = {
        "dataset": "phantom", "setting": "low", "image": "restored", "method": method, "learning": "own",
        "replicate": "r0", "estimate": "single", "observer": "hotelling", "sought": "lesion",
        "contrast": 1.0, "radius_mm": None, "n_subjects": 2, "n_slices": 2, "n_lesions": 6,
        "n_realisations": 20, "auc": 0.8, "standard_error": 0.03, "ci_low": 0.73, "ci_high": 0.86,
        "subject_ci_low": None, "subject_ci_high": None, "observers": "4 channels", "protocol": "small",
    }  # fmt: skip
    return DetectionRow(**known | changed)


def compared(verdict: str, difference: float) -> dict[str, Any]:
    ends = {"difference_ci_low": difference - 0.05, "difference_ci_high": difference + 0.05}
    return {"compared_with": "lpet", "difference": difference, "verdict": verdict, **ends}


ROWS = [
    row("lpet"),
    row("lpet", radius_mm=5.0),
    row("good", auc=0.93, **compared(HIGHER, 0.13)),
    row("good", auc=0.93, radius_mm=5.0, **compared(HIGHER, 0.13)),
    row("bad", **compared(LOWER, -0.2)),
    row("lpet", contrast=-0.5),
    row("good", contrast=-0.5, **compared(UNCLEAR, 0.01)),
    row("lpet", sought="nothing", contrast=None, auc=0.47, ci_low=0.4, ci_high=0.55),
    row("good", sought="nothing", contrast=None, auc=0.61, ci_low=0.52, ci_high=0.7),
]


def test_the_summary_names_who_has_a_higher_and_a_lower_area_and_what_the_check_found() -> None:
    summary = detection_section(ROWS, confidence=0.95).summary
    assert (
        "With the first training of each method, in these 2 slices of 2 subjects: "
        "hot (+100 %) lesions of all sizes have a higher area here after `good` and a lower area here "
        "after `bad` than in `lpet`; "
        "cold (-50 %) lesions of all sizes are not shown to have another area than in `lpet`."
    ) in summary
    assert "the areas are 0.47 to 0.61; 1 of 2 intervals of 95% hold 0.5" in summary


def test_tables_have_a_column_for_each_kind_of_lesion_and_marks_where_shown() -> None:
    section = detection_section([*ROWS, row("good", estimate="mean_of_4", auc=0.99)], confidence=0.95)
    areas, differences = section.tables
    assert [column.label for column in areas.columns[2:]] == [
        "hot (+100 %), all radii",
        "hot (+100 %), 5 mm",
        "cold (-50 %), all radii",
        "no lesion",
    ]
    assert [line["method"] for line in areas.rows] == ["lpet", "good", "bad"]
    page = render_markdown(section)
    assert "| good | own | 0.930 [0.730, 0.860] |" in page
    assert "0.130 [0.080, 0.180] higher area here" in page
    assert "0.010 [-0.040, 0.060] |" in page, "what is not shown has no mark"
    assert "0.990" not in page, "single samples alone"
    assert [line["method"] for line in differences.rows] == ["good", "bad"]


def test_without_a_method_to_compare_with_no_method_is_named() -> None:
    section = detection_section([row("lpet"), row("good", auc=0.93)], confidence=0.95)
    assert "have areas of 0.800 to 0.930; nothing was compared" in section.summary
    assert "best" not in section.summary
    assert "good" not in section.summary
    assert len(section.tables) == 1


def test_no_word_of_one_training_is_that_of_a_method() -> None:
    """One slice of one subject, first trainings: neither "better" nor "worse", and it says of what."""
    one = [replace(each, n_subjects=1, n_slices=1) for each in ROWS]
    section = detection_section(one, confidence=0.95)
    assert (
        "With the first training of each method, in this one slice of one subject: " in section.summary
    )
    page = render_markdown(section).lower()
    assert not re.search(r"\b(better|worse|best|worst)\b", page)
    assert "first training alone" in page
    assert "of one slice somewhat too narrow" in page
    assert "too wide" not in page


def test_how_a_method_learned_is_told_where_it_learned_in_two_ways() -> None:
    rows = [
        row("lpet"),
        row("good", **compared(HIGHER, 0.13)),
        row("good", learning="other", **compared(UNCLEAR, 0.01)),
    ]
    summary = detection_section(rows, confidence=0.95).summary
    assert "a higher area here after `good` (own) than" in summary


def test_differences_have_their_interval_over_subjects_where_there_is_one() -> None:
    ends = {"difference_subject_ci_low": -0.3, "difference_subject_ci_high": 0.56}
    section = detection_section(
        [row("lpet"), row("good", **compared(HIGHER, 0.13), **ends)], confidence=0.95
    )
    assert section.tables[-1].caption.endswith("with its interval over subjects")
    assert "0.130 [-0.300, 0.560] |" in render_markdown(section)


def test_a_method_with_two_trainings_is_refused() -> None:
    again = row("good", replicate="r1", auc=0.7, **compared(UNCLEAR, -0.1))
    with pytest.raises(InputError, match=r"phantom/low: good \(learning own\) .* trainings r0 and r1"):
        detection_section([*ROWS, again], confidence=0.95)


def test_the_figure_has_a_panel_for_each_contrast_and_one_for_nothing() -> None:
    standard = row("", image="standard", learning="-", radius_mm=5.0)
    figure = draw_detection([*ROWS, standard, row("good", learning="other", radius_mm=5.0)])
    labels = [axis.get_xlabel() for axis in figure.axes]
    assert labels == ["AUC, hot (+100 %)", "AUC, cold (-50 %)", "AUC, no lesion"]
    named = names_of([*ROWS, standard, row("good", learning="other")])
    assert named == ["lpet", "good, own", "bad", "standard dose", "good, other"]


@pytest.mark.parametrize(
    ("contrast", "words"), [(1.0, "hot (+100 %)"), (-0.25, "cold (-25 %)"), (None, "no lesion")]
)
def test_kinds_in_words(contrast: float | None, words: str) -> None:
    assert kind_of(contrast) == words
