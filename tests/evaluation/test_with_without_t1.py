"""The table with and without T1, against sums done by hand."""

from __future__ import annotations

import csv
from dataclasses import replace
from itertools import product

import pandas as pd
import pytest

from quietpet.config.evaluation import EvaluationSettings
from quietpet.config.inputs import WithoutT1
from quietpet.evaluation.scoring import SCORE_COLUMNS
from quietpet.evaluation.tables import TablePlan
from quietpet.evaluation.with_without_t1 import T1_COLUMNS, compare_t1
from quietpet.evaluation.with_without_t1_section import t1_section
from quietpet.files.named import Files
from quietpet.files.sections import read_section, render_markdown
from quietpet.jobs.evaluation import TablesJob
from quietpet.stages import tables

PLAN = TablePlan(
    protocol="small",
    methods={name: f"{name} as configured" for name in ("lpet", "munet", "munet_pet", "hinet", "csrd")},
    datasets={"phantom": "simulated", "shifted": "simulated"},
    regimes=("external", "internal"),
    trained=("munet", "munet_pet", "hinet", "csrd"),
    iterations={},
    published_settings=("low",),
    doses={},
    acquisition="none",
    rays=1,
    evaluation=EvaluationSettings(),
    without_t1=(
        WithoutT1(method="csrd", variant=None, how="trained on PET alone: not in this study"),
        WithoutT1(method="hinet", variant=None, how="refused: two encoders"),
        WithoutT1(method="munet", variant="munet_pet", how="trained on PET alone"),
    ),
)

# PSNR [dB] by subject and slice, of two trainings each. With T1: slices 30, 32 and 28, 29; without: 27,
# 30 and 27.5, 26.5. Differences 3, 2, 0.5 and 2.5: 2 in the mean; 2.5 of the first subject, 1.5 of the
# second.
PSNR_DB = {
    "munet": {
        ("04", "a"): (29, 31),
        ("04", "b"): (32, 32),
        ("05", "c"): (27, 29),
        ("05", "d"): (29, 29),
    },
    "munet_pet": {
        ("04", "a"): (26, 28),
        ("04", "b"): (30, 30),
        ("05", "c"): (28, 27),
        ("05", "d"): (26, 27),
    },
    "hinet": {
        ("04", "a"): (20, 20),
        ("04", "b"): (22, 22),
        ("05", "c"): (24, 24),
        ("05", "d"): (26, 26),
    },
    "lpet": {("04", "a"): (1,), ("04", "b"): (1,), ("05", "c"): (1,), ("05", "d"): (1,)},
}


def scores(
    dataset: str = "phantom", methods: tuple[str, ...] = tuple(PSNR_DB), lacking: tuple[str, ...] = ()
) -> pd.DataFrame:
    """NMSE is a hundredth of the PSNR; no other metric is in the table. ``lacking``: keys without T1."""
    rows = []
    for method in methods:
        for (subject, key), values in PSNR_DB[method].items():
            for (number, value), metric in product(
                enumerate(values), ("psnr_db", "nmse", "bias_percent")
            ):
                scaled = value / 100 if metric == "nmse" else value
                learning = "-" if method == "lpet" else "external"
                names = (
                    dataset,
                    "low",
                    method,
                    learning,
                    f"r{number}",
                    "single",
                    subject,
                    key,
                    0.0,
                    0.0,
                    key not in lacking,
                )
                rows.append((*names, metric, "quantitative", scaled, None, "brainweb", "embedded", "-"))
    return pd.DataFrame(rows, columns=SCORE_COLUMNS).astype({"value": float, "spread_to_error": float})


def row_of(rows, method, metric):
    (found,) = [row for row in rows if (row.method, row.metric) == (method, metric)]
    return found


def test_the_difference_is_the_mean_over_slices_of_the_means_over_trainings():
    row = row_of(compare_t1(scores(), plan=PLAN), "munet", "psnr_db")
    assert (row.method_without, row.without) == ("munet_pet", "trained on PET alone")
    assert row.mean_with_t1 == pytest.approx((30 + 32 + 28 + 29) / 4)
    assert row.mean_without_t1 == pytest.approx((27 + 30 + 27.5 + 26.5) / 4)
    assert row.difference == pytest.approx(2.0)
    assert (row.n_subjects, row.n_slices, row.n_replicates, row.n_replicates_without) == (2, 4, 2, 2)
    # Two subjects of 2.5 and 1.5 dB, s = 0.7071; t of one degree of freedom is 12.7062.
    assert (row.difference_ci_low, row.difference_ci_high) == pytest.approx(
        (2 - 12.7062 / 2, 2 + 12.7062 / 2), abs=1e-4
    )
    assert (row.verdict, row.reason) == ("not testable", "2 subjects, at least 3 are needed")
    nmse = row_of(compare_t1(scores(), plan=PLAN), "munet", "nmse")
    assert nmse.difference == pytest.approx(0.02)


def test_methods_as_configured_with_the_reason_where_there_is_no_variant_and_no_other_method():
    rows = compare_t1(scores(), plan=PLAN)
    assert [(row.method, row.metric) for row in rows] == [
        ("munet", "psnr_db"),
        ("munet", "nmse"),
        ("hinet", "psnr_db"),
        ("hinet", "nmse"),
    ]
    refused = row_of(rows, "hinet", "psnr_db")
    assert refused.mean_with_t1 == pytest.approx(23)
    assert refused.without == "refused: two encoders"
    assert refused.cells()["difference"] == ""
    assert refused.cells()["method_without"] == ""


def test_a_variant_that_is_not_scored_on_a_data_set_leaves_a_gap_that_is_told():
    both = pd.concat([scores(), scores("shifted", ("munet", "lpet"))])
    first, second = (
        row for row in compare_t1(both, plan=PLAN) if (row.method, row.metric) == ("munet", "psnr_db")
    )
    assert (first.dataset, first.difference) == ("phantom", pytest.approx(2.0))
    assert (second.dataset, second.difference) == ("shifted", None)
    assert second.without == "trained on PET alone, but munet_pet is not scored here"
    page = render_markdown(t1_section(compare_t1(both, plan=PLAN)))
    assert "phantom, setting" in page
    assert "shifted" not in page, "a setting without a pair"


def test_a_method_of_two_variants_has_a_row_with_each():
    another = WithoutT1(method="munet", variant="hinet", how="skips replaced")
    rows = compare_t1(scores(), plan=replace(PLAN, without_t1=(*PLAN.without_t1[2:], another)))
    found = [(row.method_without, row.difference) for row in rows if row.metric == "psnr_db"]
    assert found == [("munet_pet", pytest.approx(2.0)), ("hinet", pytest.approx(29.75 - 23))]


@pytest.mark.parametrize("lacking", [("c", "d"), ("a", "c"), ("b",)])
def test_slices_without_t1_count_on_neither_side(lacking):
    """The table is that of the other slices alone, of methods with a variant and without one."""
    table = scores(lacking=lacking)
    rows = compare_t1(table, plan=PLAN)
    assert rows == compare_t1(table[~table["key"].isin(lacking)], plan=PLAN)
    assert rows != compare_t1(scores(), plan=PLAN)
    assert row_of(rows, "munet", "psnr_db").n_slices == 4 - len(lacking)


def test_where_no_slice_has_a_t1_there_is_no_row_and_no_section():
    rows = compare_t1(scores(lacking=("a", "b", "c", "d")), plan=PLAN)
    assert rows == ()
    assert t1_section(rows) is None


def test_one_subject_has_no_interval():
    alone = scores()
    row = row_of(compare_t1(alone[alone["subject"] == "04"], plan=PLAN), "munet", "psnr_db")
    assert (row.difference, row.difference_ci_low) == (pytest.approx(2.5), None)


def test_the_page_shows_both_and_the_difference_and_nothing_without_a_pair():
    page = render_markdown(t1_section(compare_t1(scores(), plan=PLAN)))
    assert "| munet | munet_pet: trained on PET alone | external | single |" in page
    assert "| 29.75 | 27.75 | +2.00 [-4.35, +8.35] not testable |" in page
    assert "| hinet | refused: two encoders | external | single |" in page
    assert t1_section(compare_t1(scores(methods=("hinet", "lpet")), plan=PLAN)) is None


def test_the_summary_names_the_gain_its_variant_and_its_verdict():
    summary = t1_section(compare_t1(scores(), plan=PLAN)).summary
    assert summary == (
        "phantom, `low`: most PSNR gains `munet` (external) by its T1 in the variant `quantitative`, "
        "+2.000 dB, not testable."
    )


@pytest.mark.parametrize(("loss_db", "told"), [(0.0, "+0.000"), (0.004, "-0.004"), (2.0, "-2.000")])
def test_a_loss_is_not_told_as_a_gain(loss_db, told):
    rows = [
        replace(row, difference=-loss_db) if row.difference is not None else row
        for row in compare_t1(scores(), plan=PLAN)
    ]
    assert t1_section(rows).summary == (
        "phantom, `low`: no method gains PSNR by its T1 in the variant `quantitative`; `munet` "
        f"(external) loses least, {told} dB, not testable."
    )


def test_the_variant_of_the_summary_is_the_first_that_a_reader_sees():
    both = pd.concat([scores().assign(variant=name) for name in ("paper", "quantitative")])
    tables_of_pairs = t1_section(compare_t1(both, plan=PLAN)).tables
    assert [table.variant for table in tables_of_pairs] == ["quantitative", "paper"]


@pytest.mark.parametrize("chosen", [False, True])
def test_the_page_says_what_intervals_leave_out_and_what_else_may_differ(chosen):
    page = render_markdown(t1_section(compare_t1(scores(), plan=PLAN), rates_chosen=chosen))
    assert "better or worse where that is shown over subjects, and over subjects and trainings" in page
    assert (
        "budget the same, but for the learning rate, which trials choose for each." in page
    ) == chosen
    assert ("budget the same. " in page) != chosen


def test_the_stage_writes_a_file_of_its_own_and_a_section(tmp_path):
    job = TablesJob(
        **{
            name: getattr(PLAN, name)
            for name in TablesJob.model_fields
            if name != "without_t1" and hasattr(PLAN, name)
        },
        without_t1=PLAN.without_t1,
    )
    table = scores()
    table.to_csv(tmp_path / "scores.csv", index=False)
    names = ("tables", "readable", "tables_section", "with_without_t1")
    tables.run(
        job,
        Files({"scores": [tmp_path / "scores.csv"]}),
        Files({name: [tmp_path / name] for name in names}),
    )
    with (tmp_path / "with_without_t1").open(newline="") as stream:
        reader = csv.DictReader(stream)
        assert tuple(reader.fieldnames) == T1_COLUMNS
        found = [row for row in reader if (row["method"], row["metric"]) == ("munet", "psnr_db")]
    assert [(row["difference"], row["method_without"]) for row in found] == [("2", "munet_pet")]
    assert found[0]["protocol"] == "small: munet as configured"
    assert read_section(tmp_path / "tables_section").sections[-1].title == "With and without T1"
