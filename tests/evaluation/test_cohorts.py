"""Cohorts restored by methods whose effect is known: nothing, blur, copies of the healthy."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from quietpet.config.comparison import HEAD
from quietpet.errors import InputError
from quietpet.evaluation.cohort_rows import (
    ACTIVITY,
    LARGER,
    LOW,
    NO_EFFECT,
    NO_SPREAD,
    RATIO,
    RESTORED,
    REVERSED,
    SMALLER,
    STANDARD,
    TRUTH,
    UNCLEAR,
    UNTESTED,
)
from quietpet.evaluation.cohorts import assemble_cohorts
from quietpet.evaluation.cohorts_figure import draw_cohorts
from quietpet.evaluation.cohorts_section import cohorts_section
from quietpet.files.sections import render_markdown
from tests.builders.cohorts import REGIONS, blurred, identity, measured, plan, subject


def half_way(images, _number, _diseased):
    """Half of what a region differs from the head is lost."""
    mean = images["standard"][HEAD]
    return {region: (value + mean) / 2 for region, value in images["standard"].items()}


def effects_of(regions: pd.DataFrame, *methods: str, **changed):
    """Rows of effects by (image, method, region)."""
    _, rows = assemble_cohorts(regions, plan=plan(*methods, **changed))
    return {(row.image, row.method, row.region): row for row in rows}


def bias_of(regions: pd.DataFrame, *methods: str, **changed):
    rows, _ = assemble_cohorts(regions, plan=plan(*methods, **changed))
    return {
        (row.cohort, row.image, row.method, row.region, row.quantity, row.against): row for row in rows
    }


def page_of(regions: pd.DataFrame, *methods: str) -> str:
    asked = plan(*methods)
    return render_markdown(cohorts_section(*assemble_cohorts(regions, plan=asked), plan=asked))


def ratios(dataset: str, region: str, image: str = STANDARD, n: int = 6) -> list[float]:
    """By hand, of the made-up subjects."""
    diseased = dataset == "alzheimer"
    subjects = [subject(f"{each + 50 * diseased:02d}", diseased=diseased)[image] for each in range(n)]
    return [each[region] / each["sensorimotor"] for each in subjects]


def test_effects_at_the_standard_dose_are_those_of_the_ratios() -> None:
    found = effects_of(measured({"lpet": identity}), "lpet")[STANDARD, "-", "precuneus"]
    healthy, diseased = ratios("healthy", "precuneus"), ratios("alzheimer", "precuneus")
    statistic = stats.ttest_ind(diseased, healthy).statistic
    assert found.cohens_d == pytest.approx(statistic * np.sqrt(2 / 6))
    assert found.hedges_g == pytest.approx(found.cohens_d * (1 - 3 / 39), rel=1e-3)
    assert found.mean_healthy == pytest.approx(np.mean(healthy))
    assert found.difference_percent == pytest.approx(100 * (np.mean(diseased) / np.mean(healthy) - 1))
    assert (found.n_healthy, found.n_diseased, found.verdict, found.same_heads) == (6, 6, "", False)
    assert found.ci_high < 0


def test_every_kind_of_image_has_a_row_for_each_region_but_the_reference() -> None:
    found = effects_of(measured({"lpet": identity}), "lpet")
    images = [(TRUTH, "-"), (STANDARD, "-"), (LOW, "-"), (RESTORED, "lpet")]
    assert list(found) == [
        (*image, region) for image in images for region in ("precuneus", "temporal", HEAD)
    ]
    whole = effects_of(measured({"lpet": identity}), "lpet", reference=HEAD)
    assert {region for _, _, region in whole} == {"precuneus", "temporal", "sensorimotor"}


def test_the_identity_keeps_d_exactly() -> None:
    found = effects_of(measured({"lpet": identity}), "lpet")
    for region in ("precuneus", "temporal", HEAD):
        standard, restored = found[STANDARD, "-", region], found[RESTORED, "lpet", region]
        assert (restored.cohens_d, restored.ci_low) == (standard.cohens_d, standard.ci_low)
        if standard.verdict == "":
            assert (restored.share_percent, restored.change, restored.verdict) == (100, 0, UNCLEAR)
            assert restored.change_low == restored.change_high == 0


def test_a_blur_to_the_head_loses_d_and_is_warned_about() -> None:
    regions = measured({"lpet": identity, "blur": blurred})
    found = effects_of(regions, "lpet", "blur")[RESTORED, "blur", "precuneus"]
    assert (found.cohens_d, found.share_percent, found.verdict) == (0, 0, SMALLER)
    assert found.change_low > 0
    of_three = effects_of(measured({"lpet": identity, "blur": blurred}, n=3), "lpet", "blur")
    lost = of_three[RESTORED, "blur", "precuneus"]
    assert lost.change_low < 0, "the interval of a change of three subjects is too wide"
    assert lost.ci_low > of_three[STANDARD, "-", "precuneus"].ci_high
    assert lost.verdict == SMALLER
    page = page_of(regions, "lpet", "blur")
    assert "> **WARNING - `blur` shrinks the difference between the cohorts: precuneus (" in page
    assert "`lpet` shrinks" not in page


def test_a_part_of_an_effect_that_is_lost_is_told() -> None:
    """Half of the usual loss is put back in all of the diseased: means come nearer, spreads stay."""

    def shrunk(images, _number, diseased):
        added = diseased * 0.12 * images["standard"]["sensorimotor"]
        return {**images["standard"], "precuneus": images["standard"]["precuneus"] + added}

    found = effects_of(measured({"net": shrunk}, n=8), "net")
    restored, standard = (
        found[key] for key in ((RESTORED, "net", "precuneus"), (STANDARD, "-", "precuneus"))
    )
    assert standard.cohens_d < restored.cohens_d < 0
    assert restored.share_percent == pytest.approx(100 * restored.cohens_d / standard.cohens_d)
    assert restored.change == pytest.approx(restored.cohens_d - standard.cohens_d)
    assert restored.verdict == SMALLER
    assert found[RESTORED, "net", "temporal"].change == 0


def test_a_method_that_shrinks_spread_and_difference_alike_is_warned_about() -> None:
    """Uptake comes nearer to that of the mean healthy subject: d is kept, what a reader sees is not."""
    usual = np.mean(ratios("healthy", "precuneus"))

    def regressed(images, _number, _diseased):
        below = images["standard"]["sensorimotor"]
        ratio = images["standard"]["precuneus"] / below
        return {**images["standard"], "precuneus": below * (0.3 * ratio + 0.7 * usual)}

    regions = measured({"net": regressed, "lpet": identity})
    found = effects_of(regions, "lpet", "net")
    standard, restored = (
        found[key] for key in ((STANDARD, "-", "precuneus"), (RESTORED, "net", "precuneus"))
    )
    assert restored.cohens_d == pytest.approx(standard.cohens_d)
    assert restored.difference_percent == pytest.approx(0.3 * standard.difference_percent)
    assert (restored.verdict, restored.difference_verdict) == (UNCLEAR, SMALLER)
    assert restored.gap_low > 0
    left = f"{restored.difference_percent:.1f} % in place of {standard.difference_percent:.1f} %"
    page = page_of(regions, "lpet", "net")
    assert (
        f"WARNING - `net` shrinks the difference between the cohorts: precuneus (difference), {left}"
        in page
    )
    assert "`lpet` shrinks" not in page
    kept = found[RESTORED, "lpet", "precuneus"]
    assert (kept.gap_percent, kept.gap_low, kept.gap_high, kept.difference_verdict) == (0, 0, 0, UNCLEAR)


def test_copies_of_the_healthy_have_no_effect() -> None:
    """A network that gives each of the diseased the uptake of one of the healthy."""

    def copied(_images, number, _diseased):
        return subject(f"{number:02d}", diseased=False)["standard"]

    found = effects_of(measured({"net": copied}), "net")[RESTORED, "net", "precuneus"]
    assert (found.cohens_d, found.hedges_g, found.difference_percent, found.verdict) == (
        0,
        0,
        0,
        SMALLER,
    )


def test_a_method_that_exaggerates_is_no_loss() -> None:
    def exaggerated(images, _number, diseased):
        taken = diseased * 0.3 * images["standard"]["sensorimotor"]
        return {**images["standard"], "precuneus": images["standard"]["precuneus"] - taken}

    regions = measured({"net": exaggerated})
    found = effects_of(regions, "net")[RESTORED, "net", "precuneus"]
    assert (found.verdict, found.change_high < 0, found.share_percent > 100) == (LARGER, True, True)
    assert "WARNING" not in page_of(regions, "net")


def turned(images, _number, diseased):
    """The loss of the diseased becomes a gain of the same size."""
    added = diseased * 0.5 * images["standard"]["sensorimotor"]
    return {**images["standard"], "precuneus": images["standard"]["precuneus"] + added}


@pytest.mark.parametrize("swapped", [False, True])
def test_an_effect_that_is_shown_with_the_other_sign_is_reversed(swapped: bool) -> None:
    regions = measured({"lpet": identity, "net": turned})
    if swapped:
        regions["dataset"] = regions["dataset"].map({"healthy": "alzheimer", "alzheimer": "healthy"})
    found = effects_of(regions, "lpet", "net")
    row, usual = found[RESTORED, "net", "precuneus"], found[STANDARD, "-", "precuneus"]
    assert row.cohens_d * usual.cohens_d < 0
    assert row.ci_low * row.ci_high > 0
    assert (row.verdict, row.difference_verdict) == (REVERSED, REVERSED)
    assert found[RESTORED, "lpet", "precuneus"].verdict == UNCLEAR
    assert found[RESTORED, "net", "temporal"].verdict != REVERSED
    left = f"{row.difference_percent:+.1f} % in place of {usual.difference_percent:+.1f} %"
    page = page_of(regions, "lpet", "net")
    assert f"WARNING - `net` reverses the difference between the cohorts: precuneus, {left}.**" in page
    assert "` shrinks" not in page
    assert "⇅" in page
    _, effects = assemble_cohorts(regions, plan=plan("lpet", "net"))
    (legend,) = draw_cohorts(effects).legends
    assert "of the other sign than at the standard dose" in {text.get_text() for text in legend.texts}


def test_the_other_sign_alone_is_no_reversal() -> None:
    """Nothing is left of the effect but chance, which has a sign, too."""

    def past_0(images, _number, diseased):
        added = diseased * 0.33 * images["standard"]["sensorimotor"]
        return {**images["standard"], "precuneus": images["standard"]["precuneus"] + added}

    found = effects_of(measured({"net": past_0}), "net")[RESTORED, "net", "precuneus"]
    assert found.cohens_d > 0
    assert found.ci_low < 0
    assert found.verdict == SMALLER


def test_an_effect_is_shown_where_welchs_interval_leaves_0_out_too() -> None:
    """Three patients who spread widely beside ten healthy people who do not."""
    regions = measured({"lpet": identity}, n=10)
    number = regions["subject"].astype(int)
    regions = regions[(regions["dataset"] == "healthy") | (number < 53)].copy()
    patient = regions["subject"].map({"50": 0.99, "51": 0.94, "52": 0.83})
    healthy = 1 + 0.01 * (number % 3)
    ratio = patient.where(regions["dataset"] == "alzheimer", healthy)
    there = regions["region"] == "precuneus"
    regions["standard"] = (100 * ratio).where(there, 100.0)
    row = effects_of(regions, "lpet")[STANDARD, "-", "precuneus"]
    assert (row.n_healthy, row.n_diseased) == (10, 3)
    assert row.ci_high < 0
    assert row.verdict == NO_EFFECT


def test_effects_of_the_other_sign_are_lost_towards_0_too() -> None:
    """The healthy in the place of the diseased."""
    regions = measured({"blur": blurred, "lpet": identity})
    regions["dataset"] = regions["dataset"].map({"healthy": "alzheimer", "alzheimer": "healthy"})
    found = effects_of(regions, "lpet", "blur")
    assert found[STANDARD, "-", "precuneus"].ci_low > 0
    assert found[RESTORED, "blur", "precuneus"].verdict == SMALLER


def test_no_effect_at_the_standard_dose_can_not_be_lost() -> None:
    found = effects_of(measured({"blur": blurred}), "blur", reference=HEAD)
    assert "none can be seen to be kept or lost: head." in page_of(measured({"blur": blurred}), "blur")
    rows = [found[key] for key in found if key[2] == "sensorimotor"]
    assert {row.verdict for row in rows} == {NO_EFFECT}
    assert {row.share_percent for row in rows} == {None}


@pytest.mark.parametrize("n", [1, 2])
def test_few_subjects_are_said_to_be_too_few(n: int) -> None:
    regions = measured({"blur": blurred}, n=n)
    found = effects_of(regions, "blur")
    assert {row.verdict for row in found.values()} == {UNTESTED}
    assert {row.ci_low for row in found.values()} == {None}
    biased = bias_of(regions, "blur").values()
    assert {(row.verdict, row.loa_low, row.ci_low) for row in biased} == {(UNTESTED, None, None)}
    page = page_of(regions, "blur")
    assert f"{n} healthy and {n} diseased test subjects." in page
    assert "Fewer than 3 subjects in a group: whether a method keeps the effect can not be said" in page
    assert "WARNING" not in page
    assert "not testable" in page


def test_subjects_without_spread_have_no_d() -> None:
    def alike(_images, _number, diseased):
        return {**dict.fromkeys(REGIONS, 1.0), "precuneus": 0.5 if diseased else 1.0}

    found = effects_of(measured({"net": alike}), "net")[RESTORED, "net", "precuneus"]
    assert (found.cohens_d, found.ci_low, found.verdict) == (None, None, NO_SPREAD)
    assert found.difference_percent == pytest.approx(-50)


def test_bias_is_relative_and_over_subjects() -> None:
    def scaled(images, _number, _diseased):
        return {region: 1.1 * value for region, value in images["low"].items()}

    found = bias_of(measured({"net": scaled}), "net")
    row = found["alzheimer", RESTORED, "net", "temporal", ACTIVITY, STANDARD]
    subjects = [subject(f"{each + 50:02d}", diseased=True) for each in range(6)]
    percent = [
        100 * (1.1 * each["low"]["temporal"] / each["standard"]["temporal"] - 1) for each in subjects
    ]
    mean, std = np.mean(percent), np.std(percent, ddof=1)
    assert row.mean_percent == pytest.approx(mean)
    assert (row.loa_low, row.loa_high) == pytest.approx((mean - 1.959964 * std, mean + 1.959964 * std))
    assert row.ci_high == pytest.approx(mean + stats.t.ppf(0.975, 5) * std / np.sqrt(6))
    assert row.loa_low_ci_low < row.loa_low < row.loa_low_ci_high
    assert row.n_subjects == 6
    ratio = found["alzheimer", RESTORED, "net", "temporal", RATIO, STANDARD]
    low = found["alzheimer", LOW, "-", "temporal", RATIO, STANDARD]
    assert ratio.mean_percent == pytest.approx(low.mean_percent), "a ratio has no common factor"


def test_the_standard_dose_has_a_bias_against_the_truth_alone() -> None:
    found = bias_of(measured({"lpet": identity}), "lpet")
    assert ("healthy", STANDARD, "-", "temporal", ACTIVITY, STANDARD) not in found
    row = found["healthy", STANDARD, "-", "temporal", ACTIVITY, TRUTH]
    assert (row.mean_percent, row.loa_low, row.loa_high) == pytest.approx((-10, -10, -10))
    assert found["healthy", STANDARD, "-", "temporal", RATIO, TRUTH].mean_percent == pytest.approx(0)
    assert not any(key[3:5] == ("sensorimotor", RATIO) for key in found)


def test_scans_have_no_truth() -> None:
    regions = measured({"lpet": identity}).assign(truth=np.nan)
    assert TRUTH not in {image for image, _, _ in effects_of(regions, "lpet")}
    assert {key[-1] for key in bias_of(regions, "lpet")} == {STANDARD}


def test_a_region_that_some_slices_miss_counts_its_subjects() -> None:
    regions = measured({"lpet": identity})
    missing = (regions["region"] == "temporal") & (regions["subject"] == "52")
    regions = regions[~missing]
    row = effects_of(regions, "lpet")[RESTORED, "lpet", "temporal"]
    assert (row.n_healthy, row.n_diseased) == (6, 5)
    assert (
        bias_of(regions, "lpet")["alzheimer", RESTORED, "lpet", "temporal", ACTIVITY, TRUTH].n_subjects
        == 5
    )


def test_trainings_are_averaged_first() -> None:
    regions = measured({"net": identity}, replicates=2)
    second = regions["replicate"] == "r1"
    regions.loc[second & (regions["region"] == "precuneus"), "restored"] *= 1.2
    row = effects_of(regions, "net")[RESTORED, "net", "precuneus"]
    standard = effects_of(regions, "net")[STANDARD, "-", "precuneus"]
    assert row.mean_healthy == pytest.approx(1.1 * standard.mean_healthy)
    assert row.cohens_d == pytest.approx(standard.cohens_d)
    assert (row.n_replicates, row.seed_std) == (2, pytest.approx(0, abs=1e-9))


def test_rows_do_not_depend_on_the_order_of_files() -> None:
    regions = measured({"lpet": identity, "blur": half_way}, replicates=2)
    shuffled = regions.sample(frac=1, random_state=1)
    for one, other in zip(
        assemble_cohorts(regions, plan=plan("lpet", "blur")),
        assemble_cohorts(shuffled, plan=plan("lpet", "blur")),
        strict=True,
    ):
        assert one == other


def test_several_settings_and_cohorts_have_rows_of_their_own() -> None:
    regions = pd.concat([measured({"lpet": identity}, setting=name) for name in ("x20", "x100")])
    other = regions[regions["dataset"] == "alzheimer"].assign(dataset="mild")
    regions = pd.concat([regions, other], ignore_index=True)
    asked = plan("lpet", diseased=("mild", "alzheimer"), settings=("x20", "x100"))
    bias, effects = assemble_cohorts(regions, plan=asked)
    assert list(dict.fromkeys((row.diseased, row.setting) for row in effects)) == [
        (diseased, setting) for diseased in ("mild", "alzheimer") for setting in ("x20", "x100")
    ]
    assert list(dict.fromkeys((row.cohort, row.setting) for row in bias)) == [
        (cohort, setting) for cohort in ("healthy", "mild", "alzheimer") for setting in ("x20", "x100")
    ]
    page = render_markdown(cohorts_section(bias, effects, plan=asked))
    assert page.index("### mild against healthy") < page.index("### alzheimer against healthy")
    panels = draw_cohorts(effects).axes
    assert len(panels) == 4 * 3
    assert panels[0].get_title(loc="left") == "mild against healthy, x20"


def test_the_same_heads_in_both_cohorts_are_told() -> None:
    named = measured({"lpet": identity}, same_heads=True)
    regions = named.assign(data_source="brainweb")
    assert all(row.same_heads for row in effects_of(regions, "lpet").values())
    assert "Both cohorts are the same heads" in page_of(regions, "lpet")
    others = measured({"lpet": identity}).assign(data_source="brainweb")
    assert not any(row.same_heads for row in effects_of(others, "lpet").values())
    assert "Both cohorts" not in page_of(others, "lpet")


def test_template_heads_of_one_name_are_not_the_same_heads() -> None:
    """They are drawn anew for each data set."""
    regions = measured({"lpet": identity}, same_heads=True)
    assert set(regions["data_source"]) == {"template"}
    assert not any(row.same_heads for row in effects_of(regions, "lpet").values())
    assert "Both cohorts" not in page_of(regions, "lpet")


def changed(regions: pd.DataFrame, column: str, value: object, **where: object) -> pd.DataFrame:
    """``value`` in ``column`` of the rows that have what ``where`` says."""
    rows = np.logical_and.reduce([regions[name] == wanted for name, wanted in where.items()])
    return regions.assign(**{column: regions[column].mask(rows, value)})


@pytest.mark.parametrize(
    ("edit", "message"),
    [
        (lambda r: r[r["dataset"] == "healthy"], "no regional activity of 'alzheimer'; score it first"),
        (lambda r: r.assign(dataset=r["dataset"].replace("healthy", "well")), "unknown data set 'well'"),
        (lambda r: r.assign(method=r["method"].replace("blur", "net")), "unknown method 'net'"),
        (lambda r: pd.concat([r, r.tail(1)]), "measured twice: "),
        (
            lambda r: r[(r["replicate"] == "r0") | (r["subject"] != "50") | (r["method"] != "blur")],
            r"alzheimer/x20: .*'r1'.* measured in other subjects or regions",
        ),
        (
            lambda r: r[(r["method"] == "lpet") | (r["dataset"] == "healthy")],
            r"'blur'.* measured in alzheimer or in healthy, not in both; score what is missing",
        ),
        (
            lambda r: r[(r["replicate"] == "r0") | (r["dataset"] == "healthy")],
            r"'r1'.* not in both; score what is missing",
        ),
        (
            lambda r: changed(r, "standard", 1.0, method="blur", subject="50", region="temporal"),
            r"'alzheimer', 'x20', '50', 'temporal'.* was measured in different images",
        ),
        (
            lambda r: changed(r, "truth", np.nan, dataset="healthy"),
            "the truth is known in alzheimer but not, or not everywhere, in healthy",
        ),
        (
            lambda r: changed(r, "data_source", "brainweb", dataset="alzheimer"),
            "images of the data_source values brainweb, template",
        ),
        (
            lambda r: changed(r, "label", 9, dataset="alzheimer", region="temporal"),
            "number regions differently: region temporal is 2 and 9",
        ),
        (
            lambda r: r[(r["region"] != "sensorimotor") | (r["subject"] != "50")],
            r"cohorts.reference = 'sensorimotor': no slice of subject '50' of alzheimer has it, ",
        ),
    ],
)  # fmt: skip
def test_what_cannot_be_compared_is_refused(edit, message: str) -> None:
    regions = measured({"lpet": identity, "blur": blurred}, replicates=2)
    with pytest.raises(InputError, match=message):
        assemble_cohorts(edit(regions), plan=plan("lpet", "blur"))
