"""Metrics against dose, and untreated doses that are as good, of made-up scores."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
import pandas as pd
import pytest

from quietpet.errors import InputError
from quietpet.evaluation.dose_figure import draw_doses
from quietpet.evaluation.dose_response import Amount, DosePlan, dose_rows, dose_scores
from quietpet.evaluation.dose_section import dose_section
from quietpet.evaluation.scoring import SCORE_COLUMNS
from quietpet.evaluation.untreated_dose import EQUIVALENT, EquivalentRow, equivalent_rows
from quietpet.files.sections import render_markdown

DOSES = {"twentieth": 0.05, "tenth": 0.1, "quarter": 0.25, "half": 0.5}
SUBJECTS = {"45": 0.0, "46": 1.0, "47": -0.5}
"""What each subject has more of the metric."""
Metric = Callable[[str, float], float]
"""Of a subject at a dose."""


def untreated(subject: str, dose: float) -> float:
    """Linear in the logarithm of the dose, as the PSNR of Poisson noise is."""
    return 30.0 + 3.0 * np.log2(dose) + SUBJECTS[subject]


def as_twice(subject: str, dose: float) -> float:
    return untreated(subject, 2 * dose)


def made_up(
    methods: Mapping[str, Metric],
    *,
    metric: str = "psnr_db",
    variant: str = "quantitative",
    dataset: str = "phantom",
    doses: Mapping[str, float] = DOSES,
    replicates: int = 1,
    suffix: str = "",
) -> pd.DataFrame:
    """Scores of two slices of each subject, one 0.5 above and one below the subject's value."""
    rows = []
    for method, value in methods.items():
        for setting, dose in doses.items():
            for number in range(1 if method == "lpet" else replicates):
                for subject in SUBJECTS:
                    for slice_, offset in (("a", 0.5), ("b", -0.5)):
                        learned = "-" if method == "lpet" else f"external{suffix}"
                        rows.append(
                            (
                                dataset, setting, method, learned, f"r{number}", "single", subject,
                                f"{subject}/{slice_}", 0.0, 0.0, True, metric, variant,
                                value(subject, dose) + offset + 0.2 * number, np.nan, "brainweb",
                                "embedded", "-",
                            )
                        )  # fmt: skip
    return pd.DataFrame(rows, columns=list(SCORE_COLUMNS))


def plan_of(doses: Mapping[str, float] = DOSES, *, ways: Mapping[str, str] | None = None) -> DosePlan:
    way_of = ways or {}
    return DosePlan(
        amounts=[
            Amount("phantom", setting, dose, way_of.get(setting, "thinned, time"))
            for setting, dose in doses.items()
        ],
        methods=("lpet", "unet", "other"),
        low_dose=("lpet",),
        factors=(2.0, 4.0),
        confidence=0.95,
    )


def answers(scores: pd.DataFrame, plan: DosePlan) -> list[EquivalentRow]:
    return list(equivalent_rows(dose_scores(scores, None, plan=plan), plan=plan))


def answer(
    rows: list[EquivalentRow], setting: str, *, question: str = EQUIVALENT, method: str = "unet"
) -> EquivalentRow:
    (found,) = [
        row for row in rows if (row.setting, row.question, row.method) == (setting, question, method)
    ]
    return found


def test_a_method_that_equals_the_low_dose_image_at_twice_the_dose_has_the_factor_2() -> None:
    rows = answers(made_up({"lpet": untreated, "unet": as_twice}), plan_of())
    for setting in ("twentieth", "tenth", "quarter"):
        found = answer(rows, setting)
        assert found.factor == pytest.approx(2.00, rel=1e-9)
        assert found.value == pytest.approx(2 * DOSES[setting], rel=1e-9)
        assert found.factor_ci_low == pytest.approx(2.00, rel=1e-9)
        assert (found.within, found.status) == (3, "")


def test_beyond_the_highest_dose_there_is_no_number() -> None:
    """At half the dose it equals the standard dose, which is no dose that was measured."""
    found = answer(answers(made_up({"lpet": untreated, "unet": as_twice}), plan_of()), "half")
    assert (found.value, found.factor, found.above) == (None, None, 3)
    assert found.status == "above the range measured"
    worse = made_up({"lpet": untreated, "unet": lambda subject, dose: untreated(subject, dose / 2)})
    assert answer(answers(worse, plan_of()), "twentieth").status == "below the range measured"


def test_subjects_differ_in_their_factors_as_logarithms() -> None:
    """Factors 2^0.5, 2 and 2^1.5: their geometric mean is 2, t of 2 degrees of freedom 4.3027."""
    shift = {"45": 0.5, "46": 1.0, "47": 1.5}
    scores = made_up(
        {"lpet": untreated, "unet": lambda subject, dose: untreated(subject, dose * 2 ** shift[subject])}
    )
    found = answer(answers(scores, plan_of()), "tenth")
    reach = 4.302653 * 0.5 * np.log(2) / np.sqrt(3)
    assert found.factor == pytest.approx(2.0)
    assert found.factor_ci_low == pytest.approx(2 * np.exp(-reach), rel=1e-5)
    assert found.ci_high == pytest.approx(0.2 * np.exp(reach), rel=1e-5)
    assert found.subjects == "45: 0.141; 46: 0.2; 47: 0.283"


def test_the_dose_of_a_factor_is_where_the_method_equals_so_many_times_the_dose() -> None:
    """The factor falls from 4 at a twentieth to 1 at half as a power: 2 in the middle of logarithms."""
    power = np.log(4) / np.log(10)

    def falling(subject: str, dose: float) -> float:
        return untreated(subject, dose * (0.5 / dose) ** power)

    rows = answers(made_up({"lpet": untreated, "unet": falling}), plan_of())
    found = answer(rows, "-", question="dose of factor 2")
    assert found.value == pytest.approx(np.sqrt(0.05 * 0.5), rel=1e-9)
    assert (found.factor, found.fraction) == (2.0, None)
    assert answer(rows, "-", question="dose of factor 4").value == pytest.approx(0.05, rel=1e-9)


def test_a_factor_that_is_nowhere_reached_has_no_dose() -> None:
    rows = answers(
        made_up({"lpet": untreated, "unet": lambda s, dose: untreated(s, 1.5 * dose**0.99)}), plan_of()
    )
    found = answer(rows, "-", question="dose of factor 4")
    assert (found.value, found.status) == (None, "below the range measured")


def test_one_equivalent_within_the_range_says_nothing_of_the_dose_of_a_factor() -> None:
    """At a tenth it equals three tenths, at the other doses more than was measured."""
    doses = {name: DOSES[name] for name in ("tenth", "quarter", "half")}
    scores = made_up({"lpet": untreated, "unet": lambda s, dose: untreated(s, 3 * dose)}, doses=doses)
    rows = answers(scores, plan_of(doses))
    assert answer(rows, "tenth").factor == pytest.approx(3.0)
    found = answer(rows, "-", question="dose of factor 2")
    assert (found.value, found.too_few) == (None, 3)
    assert found.status == "fewer than two doses within the range measured"


def test_a_subject_whose_low_dose_image_does_not_improve_is_counted_and_not_guessed() -> None:
    def turning(subject: str, dose: float) -> float:
        return untreated(subject, 0.3 - dose if subject == "46" and dose < 0.3 else dose)

    found = answer(answers(made_up({"lpet": turning, "unet": as_twice}), plan_of()), "tenth")
    assert (found.value, found.within, found.not_monotone) == (None, 2, 1)
    assert found.status == "not monotone in 1 of 3 subjects"
    assert "46: not monotone" in found.subjects


def test_a_metric_that_gets_worse_with_dose_has_no_equivalent() -> None:
    """The curve is monotone, but the wrong way round: an inverse would call the worse method better."""
    scores = made_up(
        {"lpet": lambda s, dose: -untreated(s, dose), "unet": lambda s, dose: -as_twice(s, dose)}
    )
    assert answer(answers(scores, plan_of()), "tenth").not_monotone == 3


def test_of_errors_less_is_better() -> None:
    scores = made_up(
        {
            "lpet": lambda s, dose: 9 - untreated(s, dose),
            "unet": lambda s, dose: 9 - as_twice(s, dose),
        },
        metric="nmse",
    )
    found = answer(answers(scores, plan_of()), "tenth")
    assert (found.metric, found.factor) == ("nmse", pytest.approx(2.00, rel=1e-9))
    assert answer(answers(scores, plan_of()), "half").above == 3


def test_bias_and_contrast_have_no_better_side_and_no_equivalent() -> None:
    for metric in ("bias_percent", "pet_only_contrast_percent"):
        scores = made_up({"lpet": untreated, "unet": as_twice}, metric=metric)
        assert answers(scores, plan_of()) == []
        rows = list(dose_rows(dose_scores(scores, None, plan=plan_of()), plan=plan_of()))
        assert {row.metric for row in rows} == {metric}


def test_rows_are_means_over_subjects_with_t_intervals() -> None:
    scores = made_up({"lpet": untreated, "unet": as_twice}, replicates=2)
    rows = list(dose_rows(dose_scores(scores, None, plan=plan_of()), plan=plan_of()))
    (row,) = [row for row in rows if (row.method, row.setting) == ("unet", "tenth")]
    values = [as_twice(subject, 0.1) + 0.1 for subject in SUBJECTS]
    reach = 4.302653 * np.std(values, ddof=1) / np.sqrt(3)
    assert row.mean == pytest.approx(np.mean(values))
    assert row.ci_low == pytest.approx(np.mean(values) - reach, rel=1e-5)
    assert (row.fraction, row.n_subjects, row.n_slices, row.n_replicates) == (0.1, 3, 6, 2)
    assert [each.fraction for each in rows if each.method == "lpet"] == sorted(DOSES.values())


def test_doses_of_another_way_are_measured_and_not_on_the_curve() -> None:
    """A scan of its own is noisier against the standard dose than a part of the standard's events."""
    doses = {**DOSES, "later": 0.25}
    plan = plan_of(doses, ways={"later": "scan of its own"})
    noisier = made_up({"lpet": lambda s, dose: untreated(s, dose / 2)}, doses={"later": 0.25})
    better = made_up({"unet": untreated}, doses={"later": 0.25})
    scores = pd.concat([made_up({"lpet": untreated, "unet": as_twice}), noisier, better])
    rows = answers(scores, plan)
    assert answer(rows, "tenth").factor == pytest.approx(2.0)
    assert answer(rows, "later").factor == pytest.approx(1.0)
    assert answer(rows, "later", method="lpet").factor == pytest.approx(0.5)
    assert [row for row in rows if row.method == "lpet" and row.setting != "later"] == []
    page = render_markdown(dose_section([], rows, plan=plan))
    assert "later (scan of its own) differ in more than their dose" in page


def test_two_doses_given_in_two_ways_have_no_curve() -> None:
    doses = {"tenth": 0.1, "later": 0.25}
    plan = plan_of(doses, ways={"later": "scan of its own"})
    scores = made_up({"lpet": untreated, "unet": as_twice}, doses=doses)
    assert answers(scores, plan) == []
    rows = list(dose_rows(dose_scores(scores, None, plan=plan), plan=plan))
    assert len(rows) == 4
    assert "No two doses of phantom are given in the same way" in render_markdown(
        dose_section(rows, [], plan=plan)
    )
    assert draw_doses(rows, [], plan=plan).axes


def crossed(trained: str, tested: str, loss: float) -> pd.DataFrame:
    return made_up(
        {"unet": lambda s, dose: as_twice(s, dose) - loss},
        doses={tested: DOSES[tested]},
        suffix=f"@{trained}",
    )


def test_the_matrix_compares_first_trainings_subject_by_subject() -> None:
    """Two trainings at each dose, of which only the first restores the other dose."""
    own = made_up({"lpet": untreated, "unet": as_twice}, replicates=2)
    other = pd.concat([crossed("half", "tenth", 1.5), crossed("tenth", "half", 0.25)])
    rows = list(dose_rows(dose_scores(own, other, plan=plan_of()), plan=plan_of()))
    matrix = {(row.trained_on, row.setting): row for row in rows if row.trained_on != "-"}
    assert set(matrix) == {("half", "half"), ("half", "tenth"), ("tenth", "tenth"), ("tenth", "half")}
    assert matrix["half", "tenth"].difference == pytest.approx(-1.5)
    assert matrix["half", "tenth"].difference_ci_high == pytest.approx(-1.5)
    assert matrix["tenth", "half"].difference == pytest.approx(-0.25)
    assert matrix["half", "half"].difference is None
    assert {row.n_replicates for row in matrix.values()} == {1}
    assert {row.learning for row in rows if row.method == "unet"} == {"external"}
    whole = [row for row in rows if row.trained_on == "-" and row.method == "unet"]
    assert {row.n_replicates for row in whole} == {2}
    page = render_markdown(dose_section(rows, [], plan=plan_of()))
    assert "(-1.50 [-1.50, -1.50])" in page


def test_what_is_crossed_enters_no_equivalent() -> None:
    own = made_up({"lpet": untreated, "unet": as_twice})
    plan = plan_of()
    alone = list(equivalent_rows(dose_scores(own, None, plan=plan), plan=plan))
    with_others = dose_scores(own, crossed("half", "tenth", 1.5), plan=plan)
    assert list(equivalent_rows(with_others, plan=plan)) == alone


def test_scores_that_cannot_be_compared_are_refused() -> None:
    scores = made_up({"lpet": untreated, "unet": as_twice})
    with pytest.raises(InputError, match="unknown method 'nobody'"):
        dose_scores(made_up({"nobody": untreated}), None, plan=plan_of())
    fewer = scores[~((scores["method"] == "unet") & (scores["subject"] == "47"))]
    with pytest.raises(InputError, match="was scored on other slices"):
        dose_scores(fewer, None, plan=plan_of())
    with pytest.raises(InputError, match="scored twice"):
        dose_scores(pd.concat([scores, scores]), None, plan=plan_of())


def test_one_test_subject_has_numbers_without_intervals() -> None:
    scores = made_up({"lpet": untreated, "unet": as_twice})
    found = dose_scores(scores[scores["subject"] == "45"], None, plan=plan_of())
    rows = list(dose_rows(found, plan=plan_of()))
    equivalents = list(equivalent_rows(found, plan=plan_of()))
    assert {row.ci_low for row in rows} == {None}
    assert answer(equivalents, "tenth").factor == pytest.approx(2.0)
    assert answer(equivalents, "tenth").ci_low is None
    section = dose_section(rows, equivalents, plan=plan_of())
    assert section.warnings[0].startswith("phantom has one test subject")
    assert draw_doses(rows, equivalents, plan=plan_of()).axes


def test_a_perfect_restoration_is_a_word_on_the_page_and_beyond_every_dose() -> None:
    scores = made_up({"lpet": untreated, "unet": lambda subject, dose: np.inf})
    found = dose_scores(scores, None, plan=plan_of())
    rows = list(dose_rows(found, plan=plan_of()))
    equivalents = list(equivalent_rows(found, plan=plan_of()))
    assert {row.status for row in equivalents if row.question == EQUIVALENT} == {
        "above the range measured"
    }
    assert "| unet | external | single | tenth | 10.00 | inf |" in render_markdown(
        dose_section(rows, equivalents, plan=plan_of())
    )


def most_at_a_tenth(subject: str, dose: float) -> float:
    """As twice the dose at a tenth and a half of the standard dose, as 1.5 times at the others."""
    return untreated(subject, dose * (2.0 if dose in (0.1, 0.5) else 1.5))


def test_the_page_says_what_a_dose_equals() -> None:
    plan = plan_of()
    scores = dose_scores(made_up({"lpet": untreated, "unet": most_at_a_tenth}), None, plan=plan)
    rows, equivalents = list(dose_rows(scores, plan=plan)), list(equivalent_rows(scores, plan=plan))
    section = dose_section(rows, equivalents, plan=plan)
    assert "phantom has 4 doses, from 5 % to 50 % of the standard dose." in section.summary
    assert section.summary.endswith(
        "By PSNR, whose reference shares the noise of these doses, of 4 pairs of method and dose 3 have "
        "an equivalent dose within those measured in every subject, and 3 of them an interval over "
        "subjects above 1 times the dose. The largest factor of those (not tested against the next) is "
        "that of unet: at 10 % it equals an untreated scan of 20 % [20 %, 20 %], 2.00 [2.00, 2.00] "
        "times the dose."
    )
    page, unet = render_markdown(section), "| unet | external | single |"
    assert f"{unet} tenth | 10.00 | 20.00 [20.00, 20.00] | 2.00 [2.00, 2.00] |" in page
    assert f"{unet} half | 50.00 | above the range measured |" in page
    legend = draw_doses(rows, equivalents, plan=plan).legends[0]
    assert [text.get_text() for text in legend.get_texts()] == ["lpet", "unet"]


def said(scores: pd.DataFrame, plan: DosePlan | None = None) -> str:
    """The summary, without its first sentence."""
    chosen = plan or plan_of()
    summary = dose_section([], answers(scores, chosen), plan=chosen).summary
    return summary.partition("of the standard dose. ")[2]


OWN = dict.fromkeys(DOSES, "own scan")


def test_one_subject_above_the_range_is_not_said_of_all() -> None:
    """Two of three subjects are within the doses measured: that is not "no method equals"."""

    def one_above(subject: str, dose: float) -> float:
        return untreated(subject, 2 * dose if subject != "47" else 2.0)

    doses = {"tenth": 0.1, "quarter": 0.25}
    scores = made_up({"lpet": untreated, "unet": lambda s, dose: one_above(s, 0.05)}, doses=doses)
    assert said(scores, plan_of(doses, ways=OWN)) == (
        "By PSNR, no method has an equivalent dose within those measured in every subject (above the "
        "range measured in 1 of 3 subjects)."
    )


def test_subjects_beyond_the_range_are_counted_where_rows_differ() -> None:
    doses = {"tenth": 0.1, "quarter": 0.25}
    both = {"tenth": 0.01, "quarter": 2.0}
    scores = made_up(
        {
            "lpet": untreated,
            "unet": lambda s, dose: untreated(s, both["tenth" if dose == 0.1 else "quarter"]),
        },
        doses=doses,
    )
    assert said(scores, plan_of(doses, ways=OWN)) == (
        "By PSNR, no method has an equivalent dose within those measured in every subject (subjects of "
        "all 2 pairs of method and dose put together: 3 above the range measured, 3 below the range "
        "measured)."
    )


@pytest.mark.parametrize("factor", [0.8, 1.0])
def test_a_factor_of_1_or_less_is_no_gain(factor: float) -> None:
    summary = said(
        made_up({"lpet": untreated, "unet": lambda s, dose: untreated(s, factor * dose)}),
        plan_of(ways=OWN),
    )
    assert summary.endswith(
        "no gain is shown by these, because no interval over subjects lies above 1 times the dose."
    )
    assert "largest" not in summary


def test_a_gain_that_subjects_do_not_share_is_not_shown() -> None:
    """Factors 0.8, 2 and 1.5: the mean is 1.34, its interval reaches below 1."""
    factors = {"45": 0.8, "46": 2.0, "47": 1.5}
    doses = {"tenth": 0.1, "quarter": 0.25, "half": 0.5}
    scores = made_up(
        {
            "lpet": untreated,
            "unet": lambda s, dose: untreated(s, dose * factors[s] if dose == 0.25 else 9.0),
        },
        doses=doses,
    )
    assert "of 3 pairs of method and dose 1 have" in said(scores, plan_of(doses, ways=OWN))
    assert "no gain is shown" in said(scores, plan_of(doses, ways=OWN))


def test_the_largest_factor_is_that_of_a_shown_gain() -> None:
    """Of the other method the factor is larger, and its interval holds 1."""
    factors = {"45": 0.9, "46": 5.0, "47": 5.0}
    scores = made_up(
        {
            "lpet": untreated,
            "unet": lambda s, dose: untreated(s, 1.5 * dose),
            "other": lambda s, dose: untreated(s, factors[s] * dose),
        }
    )
    equivalents = answers(scores, plan_of())
    factor = answer(equivalents, "tenth", method="other").factor
    assert factor is not None
    assert factor > 1.5
    assert "that of unet: at" in said(scores)
    assert "1.50 [1.50, 1.50] times the dose." in said(scores)


def test_one_subject_shows_no_gain() -> None:
    scores = made_up({"lpet": untreated, "unet": as_twice})
    assert said(scores[scores["subject"] == "45"]).endswith(
        "no gain is shown by these, because one subject has no interval."
    )


def test_of_thinned_doses_the_sentence_is_about_the_truth() -> None:
    """Against the standard dose the factor is 2, against the truth 1.5."""
    scores = pd.concat(
        [
            made_up({"lpet": untreated, "unet": as_twice}),
            made_up({"lpet": untreated, "unet": lambda s, d: untreated(s, 1.5 * d)}, variant="truth"),
        ]
    )
    thinned, own = said(scores), said(scores, plan_of(ways=OWN))
    assert thinned.startswith("By PSNR to the truth, of 4 pairs")
    assert "1.50 [1.50, 1.50] times the dose" in thinned
    assert own.startswith("By PSNR, of 4 pairs")
    assert "2.00 [2.00, 2.00] times the dose" in own


def test_a_method_that_learned_in_two_ways_is_named_with_its_way() -> None:
    internal = made_up({"unet": lambda s, dose: untreated(s, 1.2 * dose)}).assign(learning="internal")
    scores = pd.concat([made_up({"lpet": untreated, "unet": as_twice}), internal])
    assert "that of unet (external): at" in said(scores)


def test_the_page_says_that_equivalents_say_nothing_of_other_trainings() -> None:
    assert any("not of other trainings" in note for note in dose_section([], [], plan=plan_of()).notes)


@pytest.mark.parametrize(
    ("way", "shares"),
    [("thinned, time", True), ("window of a scan", True), ("scan of its own", False), ("stated", False)],
)
def test_shared_noise_is_said_of_doses_that_are_a_part_of_the_standard_dose(
    way: str, shares: bool
) -> None:
    plan = plan_of(ways=dict.fromkeys(DOSES, way))
    scores = made_up({"lpet": untreated, "unet": as_twice})
    assert said(scores, plan).startswith("By PSNR, whose reference shares the noise") == shares
    warnings = dose_section([], answers(scores, plan), plan=plan).warnings
    assert any("share its noise" in warning for warning in warnings) == shares
