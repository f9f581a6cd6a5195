"""Which methods are compared with which, and what tables, sentences and rows say of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
import pytest
from statsmodels.stats.multitest import multipletests

from quietpet.config.evaluation import EvaluationSettings
from quietpet.evaluation.pairs import PAIR_COLUMNS, PairRow
from quietpet.evaluation.pairs_section import paired_section
from quietpet.evaluation.pairs_sentences import summary_sentences
from quietpet.evaluation.scoring import SCORE_COLUMNS
from quietpet.evaluation.table_plan import TablePlan
from quietpet.evaluation.tables import TableRow, tabulate
from quietpet.files.sections import render_markdown

TRAINED = ("unet", "csrd", "mfdiff")
HEADS = {"04": 0.0, "05": 1.0, "06": 3.0, "18": 4.0, "20": 2.0}
METRICS = {"psnr_db": "quantitative", "nmse": "quantitative", "bias_percent": "quantitative"}


def plan(**changes: object) -> TablePlan:
    settings = {
        "protocol": "small", "methods": {name: name for name in ("lpet", "gaussian", *TRAINED)},
        "datasets": {"phantom": "simulated", "ood1": "scanned"}, "regimes": ("external", "internal"),
        "trained": TRAINED, "reference": "mfdiff", "iterations": {}, "published_settings": ("low",),
        "doses": {}, "acquisition": "none", "rays": 1, "evaluation": EvaluationSettings(),
    }  # fmt: skip
    return TablePlan(**{**settings, **changes})


def scores(
    gains: Mapping[str, float],
    *,
    subjects: Sequence[str] = ("04", "05", "06"),
    trainings: int = 2,
    seed_std: float = 0.01,
    samples: Sequence[str] = (),
    slices: Mapping[str, int] | None = None,
    dataset: str = "phantom",
    learning: str = "external",
) -> pd.DataFrame:
    """Values are those of the head plus the gain of the method, with a little noise of each subject."""
    rng = np.random.default_rng(3)
    rows = []
    for method, gain in gains.items():
        trained = method in TRAINED
        for estimate in ("single", *(["mean_of_2"] if method in samples else [])):
            own = dict(zip(HEADS, rng.normal(0, 0.02, len(HEADS)), strict=True))
            for replicate in range(trainings if trained else 1):
                seed = seed_std * rng.normal() if trained else 0.0
                for subject in subjects:
                    for index in range((slices or {}).get(subject, 2)):
                        value = 20 + HEADS[subject] + gain + own[subject] + seed
                        names = (dataset, "low", method, learning if trained else "-", str(replicate))
                        place = (estimate, subject, f"{subject}_{index}", float(index), 0.0, True)
                        rows += [
                            (*names, *place, metric, variant, value, None, "brainweb", "embedded", "-")
                            for metric, variant in METRICS.items()
                        ]
    return pd.DataFrame(rows, columns=SCORE_COLUMNS).astype({"spread_to_error": float})


GAINS = {"lpet": 0.0, "gaussian": 2.0, "unet": 5.0, "csrd": 7.0, "mfdiff": 6.0}


def pairs_of(table: pd.DataFrame, **changes: object) -> list[PairRow]:
    return [row for row in tabulate(table, plan=plan(**changes)).pairs if row.table == "1"]


def psnr(rows: Sequence[PairRow]) -> dict[str, PairRow]:
    return {row.method: row for row in rows if row.metric == "psnr_db"}


def test_each_other_method_is_compared_with_the_chosen_one() -> None:
    found = psnr(pairs_of(scores(GAINS)))
    assert list(found) == ["lpet", "gaussian", "unet", "csrd"]
    assert {row.compared_with for row in found.values()} == {"mfdiff"}
    assert {name: row.verdict for name, row in found.items()} == {
        "lpet": "worse", "gaussian": "worse", "unet": "worse", "csrd": "better",
    }  # fmt: skip
    assert {row.n_compared for row in found.values()} == {4}
    assert found["unet"].difference == pytest.approx(-1.0, abs=0.05)
    assert (found["unet"].subjects_above, found["csrd"].subjects_above) == (0, 3)
    assert (found["unet"].n_replicates, found["unet"].n_replicates_compared) == (2, 2)


def test_words_turn_with_the_metric_and_bias_is_neither_better_nor_worse() -> None:
    rows = pairs_of(scores(GAINS))
    words = {row.metric: row.verdict for row in rows if row.method == "csrd"}
    assert words == {"psnr_db": "better", "nmse": "worse", "bias_percent": "higher"}


def test_slices_are_averaged_within_a_subject_first() -> None:
    """One subject with nine slices weighs as much as those with one."""
    many = psnr(pairs_of(scores(GAINS, slices={"04": 9, "05": 1, "06": 1})))
    even = psnr(pairs_of(scores(GAINS)))
    for method, row in many.items():
        assert row.difference == pytest.approx(even[method].difference)
        assert (row.ci_low, row.p_holm) == pytest.approx((even[method].ci_low, even[method].p_holm))


def test_a_method_that_was_scored_on_fewer_slices_of_a_metric_is_compared_on_those_of_both() -> None:
    """A metric may be undefined in some slices of one method alone."""
    table = scores(GAINS)
    table["value"] += np.where(table["key"].str.endswith("_1"), 1.0, 0.0)
    one = (table["method"] == "unet") & (table["key"] == "04_1")
    table.loc[one, "value"] = np.nan
    found = psnr(pairs_of(table))
    expected = psnr(pairs_of(scores(GAINS)))
    assert found["unet"].difference == pytest.approx(expected["unet"].difference)


def test_a_method_without_a_common_slice_is_neither_compared_nor_beaten() -> None:
    table = scores(GAINS)
    first = table["key"].str.endswith("_0")
    table.loc[(table["method"] == "unet") & first, "value"] = np.nan
    table.loc[(table["method"] != "unet") & ~first, "value"] = np.nan
    found = tabulate(table, plan=plan())
    rows = [row for row in found.pairs if row.table == "1"]
    assert list(psnr(rows)) == ["lpet", "gaussian", "csrd"]
    assert not [row for row in found.rows if row.table == "1" and row.best]


def test_the_values_of_few_subjects_are_printed() -> None:
    rows = tabulate(scores(GAINS), plan=plan())
    cells = psnr(rows.pairs)["lpet"].cells()
    named = dict(part.split(": ") for part in cells["subject_differences"].split("; "))
    assert list(named) == ["04", "05", "06"]
    assert np.mean([float(value) for value in named.values()]) == pytest.approx(
        float(cells["difference"]), abs=1e-4
    )
    row = next(row for row in rows.rows if (row.method, row.metric) == ("lpet", "psnr_db"))
    assert [name for name, _ in row.subject_values] == ["04", "05", "06"]
    assert row.cells()["subject_values"].startswith("04: 20.")
    many = tabulate(scores(GAINS, subjects=tuple(HEADS)), plan=plan())
    assert psnr(many.pairs)["lpet"].cells()["subject_differences"] == ""
    assert {row.cells()["subject_values"] for row in many.rows} == {""}


def test_one_training_or_two_subjects_say_nothing_and_give_the_reason() -> None:
    once = psnr(pairs_of(scores(GAINS, trainings=1)))
    assert once["unet"].reason.startswith("one training of unet and mfdiff: ")
    assert once["lpet"].reason.startswith("one training of mfdiff: ")
    assert {row.verdict for row in once.values()} == {"not testable"}
    two = psnr(pairs_of(scores(GAINS, subjects=("04", "05"))))
    assert {row.reason for row in two.values()} == {"2 subjects, at least 3 are needed"}
    assert two["lpet"].ci_low is not None


def test_trainings_that_differ_take_the_word_away() -> None:
    found = psnr(pairs_of(scores(GAINS, seed_std=3.0)))
    assert found["unet"].verdict == found["csrd"].verdict == "no difference shown"
    assert found["csrd"].total_ci_low < 0 < found["csrd"].ci_low


def test_a_mean_of_samples_is_compared_with_means_and_with_what_does_not_sample() -> None:
    rows = pairs_of(scores(GAINS, samples=("csrd", "mfdiff")))
    found = {
        (row.method, row.estimate, row.compared_estimate) for row in rows if row.metric == "psnr_db"
    }
    assert found == {
        *((name, "single", single) for name in ("lpet", "gaussian", "unet")
          for single in ("single", "mean_of_2")),
        ("csrd", "single", "single"), ("csrd", "mean_of_2", "mean_of_2"),
    }  # fmt: skip
    families = {row.compared_estimate: row.n_compared for row in rows}
    assert families == {"single": 4, "mean_of_2": 4}


def test_a_reference_that_does_not_sample_is_compared_with_both() -> None:
    rows = pairs_of(scores(GAINS, samples=("csrd", "mfdiff")), reference="unet")
    found = {(row.method, row.estimate) for row in rows if row.metric == "psnr_db"}
    assert {("csrd", "single"), ("csrd", "mean_of_2"), ("mfdiff", "mean_of_2")} <= found


def test_networks_are_compared_with_what_learned_in_the_same_way_and_filters_with_all() -> None:
    table = pd.concat(
        scores(GAINS, dataset="ood1", learning=regime) for regime in ("external", "internal")
    )
    table = table.drop_duplicates([name for name in SCORE_COLUMNS if name != "value"])
    rows = [row for row in tabulate(table, plan=plan()).pairs if row.table == "6"]
    found = {(row.method, row.learning, row.compared_learning) for row in rows}
    assert found == {
        *((name, "-", regime) for name in ("lpet", "gaussian") for regime in ("external", "internal")),
        *((name, regime, regime) for name in ("unet", "csrd") for regime in ("external", "internal")),
    }
    row = next(row for row in tabulate(table, plan=plan()).rows if row.method == "unet")
    assert row.against == f"worse than mfdiff ({row.learning})"
    sentence = summary_sentences(tabulate(table, plan=plan()).pairs, plan=plan())["6"]
    assert "learned `external` (3 subjects)" in sentence
    assert "learned `internal`" in sentence


def test_a_study_without_the_chosen_method_has_no_pairs_and_says_so() -> None:
    table = scores({"lpet": 0.0, "unet": 5.0})
    found = tabulate(table, plan=plan())
    assert found.pairs == ()
    assert {row.against for row in found.rows} == {""}
    section = paired_section(found.pairs, found.rows, plan=plan())
    assert section.summary.startswith("Table 1: `mfdiff` is not scored beside any other method.")


def row_of(rows: Sequence[TableRow], method: str) -> TableRow:
    return next(row for row in rows if (row.method, row.metric) == (method, "psnr_db"))


def test_rows_say_what_they_are_against_the_chosen_method_and_which_is_the_best() -> None:
    rows = [row for row in tabulate(scores(GAINS), plan=plan()).rows if row.table == "1"]
    assert row_of(rows, "unet").against == "worse than mfdiff"
    assert row_of(rows, "csrd").against == "better than mfdiff"
    assert row_of(rows, "mfdiff").against == "the others are compared with mfdiff"
    assert {row.method for row in rows if row.metric == "psnr_db" and row.best} == {"csrd"}
    assert {row.method for row in rows if row.metric == "nmse" and row.best} == {"lpet"}
    assert not [row for row in rows if row.metric == "bias_percent" and row.best]


@pytest.mark.parametrize(
    "changes", [{"trainings": 1}, {"subjects": ("04", "05")}, {"seed_std": 3.0}], ids=str
)
def test_nothing_is_the_best_where_it_cannot_be_shown(changes: dict[str, object]) -> None:
    rows = tabulate(scores(GAINS, **changes), plan=plan()).rows
    assert not [row for row in rows if row.metric == "psnr_db" and row.best]


def test_equal_methods_have_no_best() -> None:
    table = scores({"lpet": 0.0, "gaussian": 6.0})
    again = table[table["method"] == "gaussian"].assign(method="unet", learning="external")
    found = tabulate(pd.concat([table, again]), plan=plan(reference="gaussian", trained=("mfdiff",)))
    assert not [row for row in found.rows if row.best and row.metric == "psnr_db"]
    assert psnr(found.pairs)["unet"].verdict == "equal"


def test_the_sentence_of_a_table_counts_and_names() -> None:
    pairs = tabulate(scores(GAINS), plan=plan()).pairs
    assert summary_sentences(pairs, plan=plan())["1"] == (
        "phantom, setting `-` (3 subjects): by PSNR (dB) `mfdiff` is better than 3 of 4 methods, worse "
        "than `csrd`; by NMSE better than 1 and worse than 3."
    )
    few = tabulate(scores(GAINS, subjects=("04", "05")), plan=plan()).pairs
    assert summary_sentences(few, plan=plan())["1"] == (
        "phantom, setting `-` (2 subjects): `mfdiff` against 4 methods: not testable (2 subjects, at "
        "least 3 are needed)."
    )


def test_the_sentence_counts_each_estimate_of_a_method_and_names_it() -> None:
    """CSRD's means of samples are worse than the chosen method, its single samples are equal to it."""
    table = scores({**GAINS, "unet": 6.0, "csrd": 6.0}, samples=("csrd",))
    reference = table["method"] == "unet"
    values = table[reference].drop_duplicates(["replicate", "key", "metric"])["value"].to_numpy()
    single = (table["method"] == "csrd") & (table["estimate"] == "single")
    table.loc[single, "value"] = values
    table.loc[(table["method"] == "csrd") & ~single, "value"] -= 3
    table = table[table["method"] != "mfdiff"]
    pairs = tabulate(table, plan=plan(reference="unet")).pairs
    assert summary_sentences(pairs, plan=plan(reference="unet"))["1"] == (
        "phantom, setting `-` (3 subjects): by PSNR (dB) `unet` is better than 3 of 4 results of 3 "
        "methods, no difference is shown to `csrd` (single); by NMSE better than 0 and worse than 3."
    )


def test_the_sentence_and_the_table_name_how_a_method_learned_where_it_did_in_several_ways() -> None:
    table = pd.concat(
        scores({**GAINS, "unet": gain}, dataset="ood1", learning=regime)
        for regime, gain in (("external", 7.0), ("internal", -3.0))
    ).drop_duplicates([name for name in SCORE_COLUMNS if name != "value"])
    table = table[table["method"].isin(["lpet", "unet"])]
    found = tabulate(table, plan=plan(reference="lpet"))
    sentence = summary_sentences(found.pairs, plan=plan(reference="lpet"))["6"]
    assert (
        "by PSNR (dB) `lpet` is better than 1 of 2 results of 1 method, worse than `unet` (external)"
        in sentence
    )
    page = render_markdown(paired_section(found.pairs, found.rows, plan=plan(reference="lpet")))
    assert "| unet | external | single |" in page
    assert "| unet | internal | single |" in page


def test_the_sentence_of_what_is_not_testable_says_so_however_many_estimates_there_are() -> None:
    table = scores(GAINS, trainings=1, samples=("csrd",))
    table = table[table["method"].isin(["unet", "csrd"])]
    pairs = tabulate(table, plan=plan(reference="unet")).pairs
    assert summary_sentences(pairs, plan=plan(reference="unet"))["1"] == (
        "phantom, setting `-` (3 subjects): `unet` against 2 results of 1 method: not testable (one "
        "training of csrd and unet: what another seed changes is not known)."
    )


def test_a_metric_of_which_nothing_is_testable_is_not_counted() -> None:
    table = scores(GAINS)
    table.loc[table["metric"] == "nmse", "value"] = np.inf
    pairs = tabulate(table, plan=plan()).pairs
    assert summary_sentences(pairs, plan=plan())["1"].endswith("`csrd`; by NMSE not testable.")


@pytest.mark.parametrize(
    ("confidence", "said"),
    [
        (0.95, "of fewer than 6 subjects it can show nothing at 0.05, and of 4 comparisons it needs 8."),
        (0.9, "of fewer than 5 subjects it can show nothing at 0.1, and of 4 comparisons it needs 7."),
    ],
)
def test_the_notes_say_how_many_subjects_signed_ranks_need(confidence: float, said: str) -> None:
    chosen = plan(evaluation=EvaluationSettings(confidence=confidence))
    found = tabulate(scores(GAINS), plan=chosen)
    page = render_markdown(paired_section(found.pairs, found.rows, plan=chosen))
    assert f"Wilcoxon's signed-rank test: {said}" in page
    assert "both after Holm's correction for all methods of the setting" in page


def test_both_p_are_corrected_for_the_methods_of_a_setting_and_decide_the_word() -> None:
    """With trainings that differ some p over subjects and trainings are at most 0.05 before it alone."""
    found = psnr(pairs_of(scores(GAINS, seed_std=0.2, subjects=tuple(HEADS)))).values()
    for corrected, raw in (("p_holm", "p"), ("total_p_holm", "total_p")):
        expected = multipletests([getattr(row, raw) for row in found], method="holm")[1]
        assert [getattr(row, corrected) for row in found] == pytest.approx(expected)
    lost = [row for row in found if row.total_p <= 0.05 < row.total_p_holm]
    assert lost
    assert {(row.verdict, row.reason) for row in lost} == {
        ("no difference shown", "not after Holm's correction of p over subjects and trainings")
    }
    assert all(row.total_p_holm <= 0.05 for row in found if row.verdict in ("better", "worse"))


def test_the_section_shows_differences_and_the_values_of_few_subjects() -> None:
    found = tabulate(scores(GAINS), plan=plan())
    section = paired_section(found.pairs, found.rows, plan=plan())
    page = render_markdown(section)
    assert section.summary.startswith("Table 1: phantom, setting `-` (3 subjects): by PSNR")
    difference = psnr(found.pairs)["unet"]
    shown = f"| {difference.difference:.2f} [{difference.ci_low:.2f}, {difference.ci_high:.2f}] worse |"
    assert shown in page
    assert "| method | learning | estimate | subject 04 | subject 05 | subject 06 |" in page
    assert "`evaluation.compare_with`" in page


def test_the_section_shows_published_values_ours_and_the_difference_with_their_doubts() -> None:
    table = scores({"lpet": 1.0, "mfdiff": 17.0}).replace({"variant": {"quantitative": "paper"}})
    table = table[table["metric"] != "bias_percent"]
    munet = table[table["method"] == "mfdiff"].assign(method="munet")
    methods = {"methods": {"lpet": "", "munet": "", "mfdiff": ""}, "trained": ("mfdiff", "munet")}
    found = tabulate(pd.concat([table, munet]), plan=plan(**methods))
    section = paired_section(found.pairs, found.rows, plan=plan(**methods))
    (shown,) = [
        each
        for each in section.tables
        if (each.caption, each.variant)
        == ("Table 1: phantoms, all methods, beside the published values", "PSNR (dB)")
    ]
    rows = {str(each["method"]): each for each in shown.rows}
    ours = np.mean([20 + HEADS[subject] for subject in ("04", "05", "06")])
    assert rows["lpet"]["paper_mean"] == 21.13
    assert rows["lpet"]["paper_difference"] == pytest.approx(ours + 1.0 - 21.13, abs=0.05)
    assert rows["lpet"]["paper_doubt"] == ""
    assert "identical to mfdiff, 2min" in str(rows["munet"]["paper_doubt"])


def test_the_section_shows_what_makes_values_vary_of_methods_with_several_trainings() -> None:
    found = tabulate(scores(GAINS, seed_std=2.0), plan=plan())
    shown = next(
        each
        for each in paired_section(found.pairs, found.rows, plan=plan()).tables
        if each.caption == "Table 1: phantoms, all methods; phantom, setting -, what makes values vary"
    )
    rows = {str(each["method"]): each for each in shown.rows}
    assert set(rows) == {*TRAINED}, "filters have no trainings"
    heads = [HEADS[subject] for subject in ("04", "05", "06")]
    for each in rows.values():
        assert each["subject_std"] == pytest.approx(np.std(heads, ddof=1), rel=0.05)
        assert each["residual_std"] == pytest.approx(0.0, abs=1e-9)
    assert max(float(each["training_std"]) for each in rows.values()) > 0.5


def test_simulated_scans_are_called_so_wherever_they_stand_in_the_section() -> None:
    table = scores(GAINS, dataset="ood1").assign(data_source="standin-brainweb")
    found = tabulate(table, plan=plan())
    section = paired_section(found.pairs, found.rows, plan=plan())
    assert any("nobody was scanned" in warning for warning in section.warnings)
    captions = [each.caption for each in section.tables]
    assert captions
    for caption in captions:
        assert "SIMULATED scans, in place of in vivo" in caption or "Table 6" in caption
    assert "ood1 (simulated scans), setting `low` (3 subjects)" in section.summary
    assert "in vivo" not in render_markdown(section).replace("in place of in vivo", "").replace(
        "no row of them is in vivo", ""
    )


def test_infinite_values_stand_in_no_table_of_the_section() -> None:
    table = scores(GAINS)
    table.loc[table["method"] == "csrd", "value"] = np.inf
    found = tabulate(table, plan=plan())
    assert psnr(found.pairs)["csrd"].reason == "infinite values"
    assert "inf" not in render_markdown(paired_section(found.pairs, found.rows, plan=plan())).replace(
        "infinite", ""
    )


def test_columns_of_pairs_are_the_documented_ones() -> None:
    assert PAIR_COLUMNS[:7] == (
        "table", "dataset", "setting", "method", "learning", "estimate", "compared_with",
    )  # fmt: skip
    assert {"ci_low", "total_ci_high", "p_holm", "hedges_gz", "wilcoxon_p_holm", "verdict"} < {
        *PAIR_COLUMNS
    }
