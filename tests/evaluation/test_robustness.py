"""What a wrong T1 costs, reckoned by hand."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from matplotlib.colors import to_hex

from quietpet.config.evaluation import EvaluationSettings
from quietpet.config.robustness import T1_CONDITIONS
from quietpet.errors import InputError
from quietpet.evaluation.robustness import (
    ROBUSTNESS_COLUMNS,
    ROBUSTNESS_SCORE_COLUMNS,
    RobustnessPlan,
    robustness_rows,
)
from quietpet.evaluation.robustness_figure import STYLES, draw_robustness
from quietpet.evaluation.robustness_section import robustness_section
from quietpet.evaluation.scoring import SCORE_COLUMNS
from quietpet.files.sections import render_markdown

PLAN = RobustnessPlan(
    methods=("lpet", "gaussian", "network", "sampler"),
    low_dose=("lpet",),
    without_t1=("lpet", "gaussian"),
    evaluation=EvaluationSettings(),
)
SLICES = (("45", "45/a"), ("45", "45/b"), ("46", "46/a"), ("46", "46/b"))

# Means of PSNR: 13, 21; 23 with its own T1, and 21.5 shifted by 2 mm: -1 and -3 in one subject, -1 and
# -1 in the other.
PSNR = {
    ("lpet", "own"): (12, 14, 12, 14),
    ("gaussian", "own"): (21, 21, 21, 21),
    ("network", "own"): (20, 22, 24, 26),
    ("network", "shift_2mm"): (19, 19, 23, 25),
    ("network", "other_subject"): (13, 13, 13, 11),
}
NMSE = {
    ("lpet", "own"): (0.3, 0.3, 0.3, 0.3),
    ("gaussian", "own"): (0.12, 0.12, 0.12, 0.12),
    ("network", "own"): (0.1, 0.1, 0.1, 0.1),
    ("network", "shift_2mm"): (0.1, 0.2, 0.1, 0.2),
    ("network", "other_subject"): (0.4, 0.4, 0.4, 0.4),
}


def scores(values, *, metric="psnr_db", variant="quantitative", estimate="single", learning="external"):
    """Rows with a column t1, of {(method, t1): value of each slice}."""
    rows = []
    for (method, t1), found in values.items():
        for (subject, key), value in zip(SLICES, found, strict=True):
            word = "-" if method == "lpet" else learning
            names = (t1, "phantom", "low", method, word, "r0", estimate)
            place = (subject, key, 0.0, 0.0, True, metric, variant, float(value), np.nan)
            rows.append((*names, *place, "brainweb", "embedded", "-"))
    return pd.DataFrame(rows, columns=ROBUSTNESS_SCORE_COLUMNS)


def parted(table):
    """Scores of methods that look at T1, and those of the others."""
    free = table["method"].isin(PLAN.without_t1)
    return table[~free], table[free][[*SCORE_COLUMNS]]


def both():
    """PSNR, SSIM and NMSE, as in every score file; SSIM like PSNR."""
    ssim = {name: [value / 100 for value in values] for name, values in PSNR.items()}
    return pd.concat(
        [scores(PSNR), scores(NMSE, metric="nmse"), scores(ssim, metric="ssim")], ignore_index=True
    )


def rows_of(table, plan=PLAN):
    return robustness_rows(*parted(table), plan=plan)


def pick(rows, **wanted):
    return [row for row in rows if all(getattr(row, name) == text for name, text in wanted.items())]


def one(rows, **wanted):
    (row,) = pick(rows, **wanted)
    return row


def test_columns_are_the_documented_ones_in_order():
    expected = (
        "dataset,setting,method,learning,replicate,estimate,t1,metric,variant,mean,std,ci_low,ci_high,"
        "difference,difference_ci_low,difference_ci_high,gain,gain_lost_percent,best_without_t1,"
        "best_without_t1_mean,n_subjects,n_slices,data_source,projector,registration"
    )
    assert ",".join(ROBUSTNESS_COLUMNS) == expected
    assert set(rows_of(both())[0].cells()) == set(ROBUSTNESS_COLUMNS)


def test_a_shift_loses_a_seventh_of_the_gain():
    """Gain 23 - 13 = 10 dB; 1.5 dB of it are lost: 2 and 1 of two subjects, t of one degree 12.7062."""
    row = one(rows_of(both()), method="network", t1="shift_2mm", metric="psnr_db")
    assert row.mean == pytest.approx(21.5)
    assert row.difference == pytest.approx(-1.5)
    assert (row.difference_ci_low, row.difference_ci_high) == pytest.approx(
        (-1.5 - 12.7062 / 2, -1.5 + 12.7062 / 2), abs=1e-4
    )
    assert (row.gain, row.gain_lost_percent) == pytest.approx((10.0, 15.0))
    assert (row.best_without_t1, row.best_without_t1_mean) == ("gaussian", 21.0)
    assert not row.no_better_than_without_t1
    assert (row.n_subjects, row.n_slices) == (2, 4)


def test_of_an_error_less_is_better():
    """Gain 0.3 - 0.1; 0.05 more error is a quarter of it, 0.3 more is one and a half times it."""
    rows = rows_of(both())
    row = one(rows, method="network", t1="shift_2mm", metric="nmse")
    assert (row.difference, row.gain, row.gain_lost_percent) == pytest.approx((0.05, 0.2, 25.0))
    assert row.no_better_than_without_t1, "0.15, where the Gaussian has 0.12"
    worst = one(rows, method="network", t1="other_subject", metric="nmse")
    assert worst.gain_lost_percent == pytest.approx(150.0), "worse than the low dose itself"


def test_own_t1_has_no_difference_and_methods_without_t1_no_other():
    rows = rows_of(both())
    own = one(rows, method="network", t1="own", metric="psnr_db")
    assert (own.difference, own.gain_lost_percent) == (None, None)
    assert own.mean == pytest.approx(23.0)
    assert {row.t1 for row in rows if row.method in PLAN.without_t1} == {"own"}
    assert one(rows, method="gaussian", metric="psnr_db").gain == pytest.approx(8.0)
    assert one(rows, method="lpet", metric="psnr_db").gain == 0


def test_where_nothing_was_gained_no_part_of_it_is_lost():
    worse = {**PSNR, ("network", "own"): (12, 12, 12, 12), ("network", "shift_2mm"): (11, 11, 11, 11)}
    del worse["network", "other_subject"]
    row = one(rows_of(scores(worse)), method="network", t1="shift_2mm")
    assert (row.gain, row.difference, row.gain_lost_percent) == (-1.0, -1.0, None)


def test_means_of_samples_and_ways_of_learning_are_compared_with_their_own():
    """The mean of two samples loses 2 dB of 12, another training 3 dB of 9, on the same slices."""
    mean = {("network", "own"): (25,) * 4, ("network", "shift_2mm"): (23,) * 4}
    other = {("network", "own"): (22,) * 4, ("network", "shift_2mm"): (19,) * 4}
    table = pd.concat(
        [scores(PSNR), scores(mean, estimate="mean_of_2"), scores(other, learning="internal")]
    )
    rows = pick(rows_of(table), method="network", t1="shift_2mm")
    found = {(row.learning, row.estimate): (row.difference, row.gain) for row in rows}
    assert found == {
        ("external", "single"): pytest.approx((-1.5, 10.0)),
        ("external", "mean_of_2"): pytest.approx((-2.0, 12.0)),
        ("internal", "single"): pytest.approx((-3.0, 9.0)),
    }


def test_the_order_of_the_files_changes_nothing():
    table = both()
    shuffled = table.sample(frac=1.0, random_state=3)
    assert rows_of(shuffled) == rows_of(table)
    order = [(row.method, row.t1) for row in rows_of(table) if row.metric == "psnr_db"]
    assert order == [
        ("lpet", "own"), ("gaussian", "own"),
        ("network", "own"), ("network", "shift_2mm"), ("network", "other_subject"),
    ]  # fmt: skip


def test_other_metrics_are_left_out():
    lesions = scores(PSNR, metric="t1_only_rms_percent")
    assert rows_of(pd.concat([both(), lesions])) == rows_of(both())


def test_each_variant_has_its_own_gain():
    low = {name: [value - 5 * (name[0] == "lpet") for value in found] for name, found in PSNR.items()}
    rows = rows_of(pd.concat([scores(PSNR), scores(low, variant="paper")]))
    row = one(rows, method="network", t1="shift_2mm", variant="paper")
    assert row.gain_lost_percent == pytest.approx(10.0)


@pytest.mark.parametrize(
    ("table", "message"),
    [
        (scores({**PSNR, ("other", "own"): (1,) * 4}), "'other', which is no method that looks at T1"),
        (scores({**PSNR, ("gaussian", "shift_2mm"): (1,) * 4}), "a slice was scored twice"),
        (
            scores({**PSNR, ("network", "upside_down"): (1,) * 4}),
            "with the T1 'upside_down'; known: own",
        ),
        (
            scores({name: v for name, v in PSNR.items() if name[0] != "lpet"}),
            r"Add lpet: \{\} to methods",
        ),
        (
            scores({name: v for name, v in PSNR.items() if name != ("network", "own")}),
            "network was not scored with the subjects' own T1",
        ),
        (scores(PSNR).drop(index=19), "was scored on other slices"),
        (pd.concat([scores(PSNR)] * 2), "a slice was scored twice"),
        (
            scores(PSNR).assign(data_source=["brainweb"] * 19 + ["template"]),
            "would mix the data_source values brainweb, template",
        ),
    ],
)
def test_scores_that_do_not_belong_together_are_refused(table, message):
    with pytest.raises(InputError, match=message):
        rows_of(table)


def test_scores_of_a_method_that_looks_at_t1_are_no_ordinary_ones():
    wrong, right = parted(both())
    with pytest.raises(InputError, match="'network', which is no method that never looks at T1"):
        robustness_rows(wrong, wrong[[*SCORE_COLUMNS]], plan=PLAN)
    assert robustness_rows(wrong, right, plan=PLAN)


def test_the_page_says_what_is_lost_and_where_no_t1_would_do_as_well():
    page = render_markdown(robustness_section(rows_of(both())))
    assert page.startswith("## Robustness: a wrong T1\n")
    assert "### T1 of phantom, setting `low`: PSNR (dB); best without T1: `gaussian`" in page
    assert "| Method | Learning | Estimate | Gain | own T1 | shifted by 2 mm | other subject's |" in page
    # Of the gain of 10 dB it loses 10.5 with the T1 of another subject.
    assert "Most of its gain in PSNR loses `network`, 105 %, where T1 is other subject's." in page
    assert (
        "| network | external | single | 10.00 | 23.00 | 21.50 (-1.50 [-7.85, +4.85]; 15 %) | "
        "12.50 (-10.50 [-42.27, +21.27]; 105 %) ‡ |" in page
    )
    assert "| gaussian | external | single | 8.00 | 21.00 | - | - |" in page
    assert (
        "| network | external | single | 0.200 | 0.100 | 0.150 (+0.050 [+0.050, +0.050]; 25 %) ‡" in page
    )


def test_the_page_marks_a_method_that_its_own_t1_does_not_lift_above_the_best_without():
    worse = {**PSNR, ("network", "own"): (20,) * 4}
    rest = both()
    page = render_markdown(
        robustness_section(rows_of(pd.concat([scores(worse), rest[rest["metric"] != "psnr_db"]])))
    )
    assert "| network | external | single | 7.00 | 20.00 ‡ |" in page
    assert "| lpet | - | single | 0.00 | 13.00 | - | - |" in page


def test_the_figure_has_a_row_for_each_method_and_a_point_for_each_t1():
    rows = rows_of(both())
    figure = draw_robustness(rows)
    psnr, _, nmse = figure.axes
    assert [text.get_text() for text in psnr.get_yticklabels()] == ["lpet", "gaussian", "network"]
    assert psnr.get_title(loc="left") == "phantom, low"
    points = {line.get_label(): line for line in psnr.lines if line.get_label() in STYLES}
    assert [*points] == ["own", "shift_2mm", "other_subject"]
    np.testing.assert_allclose(points["own"].get_xdata(), [13, 21, 23])
    np.testing.assert_allclose(points["shift_2mm"].get_xdata(), [21.5])
    assert round(float(points["shift_2mm"].get_ydata()[0])) == 2
    (best,) = (line for line in nmse.lines if line.get_label() == "best without T1")
    np.testing.assert_allclose(best.get_xdata(), 0.12)
    bars = {tuple(np.round(path.vertices[:, 0], 6)) for c in psnr.collections for path in c.get_paths()}
    assert bars == {(15.146898, 27.853102), (-19.265512, 44.265512)}


def test_colours_differ_to_all_and_shapes_in_grey():
    """Of Okabe and Ito; whoever sees no colour tells the shapes apart."""
    palette = {"#000000", "#999999", "#e69f00", "#56b4e9", "#0072b2", "#d55e00"}
    colours, markers = zip(*STYLES.values(), strict=True)
    assert {to_hex(colour) for colour in colours} == palette
    assert len(set(markers)) == len(STYLES)


def test_several_ways_of_learning_are_named_in_the_figure():
    other = both()
    other = other[other["method"] == "network"].assign(learning="internal")
    figure = draw_robustness(rows_of(pd.concat([both(), other])))
    labels = [text.get_text() for text in figure.axes[0].get_yticklabels()]
    assert labels == ["lpet", "gaussian", "network, external", "network, internal"]


def test_simulated_scans_are_called_so():
    table = both().assign(data_source="standin-brainweb", dataset="ood1")
    page = render_markdown(robustness_section(rows_of(table)))
    assert "### T1 of ood1 (simulated scans), setting `low`" in page
    figure = draw_robustness(rows_of(table))
    assert figure.axes[0].get_title(loc="left") == "ood1, low (simulated scans)"


def test_every_condition_has_a_style():
    assert tuple(STYLES) == T1_CONDITIONS
