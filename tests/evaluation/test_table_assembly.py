"""Table rows from small score tables: joins, order, refusals."""

from __future__ import annotations

import dataclasses
import re
from dataclasses import replace
from itertools import product

import numpy as np
import pandas as pd
import pytest
from pages import tables_page

from quietpet.config.evaluation import EvaluationSettings
from quietpet.errors import InputError
from quietpet.evaluation.comparison import VARIANTS
from quietpet.evaluation.figure import PANELS, draw_table
from quietpet.evaluation.metrics import METRICS
from quietpet.evaluation.published import PublishedKey, published_values
from quietpet.evaluation.readable import render, tables_section
from quietpet.evaluation.scoring import SCORE_COLUMNS
from quietpet.evaluation.summaries import summary_of_setting
from quietpet.evaluation.tables import TABLE_COLUMNS, TablePlan, TableRow, assemble
from quietpet.evaluation.told import STANDIN_WARNING, TEMPLATE_WARNING
from quietpet.files.sections import switched

METHODS = ("gaussian", "mfdiff", "lpet", "unet")
REGIMES = ("internal", "external", "external_internal")
IN_TABLES = [metric for metric in METRICS if metric.variant in VARIANTS]

PLAN = TablePlan(
    protocol="small",
    methods={name: f"{name} as configured" for name in METHODS},
    datasets={
        "phantom": "simulated",
        "shifted": "simulated",
        "ood2": "simulated",
        "ood1": "scanned",
        "mine": "scanned",
    },
    regimes=REGIMES,
    trained=("mfdiff", "unet"),
    iterations={
        "phantom": {"mfdiff": {"external": "1000"}, "unet": {"external": "2500"}},
        "ood1": {
            "mfdiff": {"internal": "400", "external": "1000", "external_internal": "1000 + 150"},
            "unet": {"internal": "1000", "external": "2500", "external_internal": "2500 + 375"},
        },
    },
    published_settings=("drf100",),
    doses={"standard": "1e+10 counts per volume"},
    acquisition="no scatter, no randoms",
    rays=1,
    evaluation=EvaluationSettings(),
    budget="7 iterations of AdamW on whole slices",
)


def scores(
    *,
    methods: tuple[str, ...] = METHODS,
    settings: tuple[str, ...] = ("drf100", "drf20"),
    subjects: tuple[str, ...] = ("04", "05"),
    dataset: str = "phantom",
    learning: str = "external",
    replicates: int = 1,
    estimates: tuple[str, ...] = ("single",),
    source: str = "brainweb",
    spread: float | None = None,
) -> pd.DataFrame:
    """Three slices per subject; the value grows with method, replicate, subject and slice."""
    rows = []
    levels = product(settings, enumerate(methods), range(replicates), estimates)
    for setting, (rank, method), replicate, estimate in levels:
        for (offset, subject), index, metric in product(enumerate(subjects), range(3), METRICS):
            value = rank + 10 * replicate + 0.1 * offset + 0.01 * index
            place = (subject, f"{subject}_{index}", float(index), 0.0, True)
            lineage = (source, "embedded", "-")
            drawn = spread if method == "mfdiff" else None
            word = "-" if method == "lpet" else learning
            names = (dataset, setting, method, word, str(replicate), estimate)
            rows.append((*names, *place, metric.name, metric.variant.name, value, drawn, *lineage))
    return pd.DataFrame(rows, columns=SCORE_COLUMNS).astype({"spread_to_error": float})


def pick(rows: tuple[TableRow, ...], **wanted: str) -> list[TableRow]:
    return [row for row in rows if all(getattr(row, name) == text for name, text in wanted.items())]


def test_columns_are_the_documented_ones_in_order() -> None:
    expected = (
        "table,dataset,setting,method,learning,iterations,metric,variant,metric_id,estimate,mean,std,subject_mean,"
        "ci_low,ci_high,subject_values,seed_std,subject_std,training_std,residual_std,n_subjects,n_slices,"
        "n_replicates,against,best,spread_to_error,paper_mean,paper_std,paper_difference,paper_doubt,"
        "protocol,data_source,projector,registration"
    )
    assert ",".join(TABLE_COLUMNS) == expected


def test_table_1_holds_every_method_and_setting_table_5_the_published_ablation() -> None:
    rows = assemble(scores(), plan=PLAN)
    found = dict.fromkeys((row.table, row.setting, row.method) for row in rows)
    assert list(found) == [
        *product("1", ["-", "drf20"], METHODS),
        *product("5", ["ablation"], ["mfdiff", "unet"]),
    ]
    assert len(rows) == len(found) * len(IN_TABLES)


def test_published_values_stand_beside_the_paper_variant_of_the_published_level() -> None:
    rows = assemble(scores(estimates=("single", "mean_of_4")), plan=PLAN)
    for row in rows:
        key = PublishedKey(row.table, row.dataset, row.setting, row.method, row.metric)
        expected = published_values().get(key) if row.variant == "paper" else None
        assert (row.paper_mean, row.paper_std, row.paper_doubt) == (expected or (None, None, ""))
    joined = [row for row in rows if row.paper_mean is not None]
    assert {(row.table, row.method) for row in joined} == {
        ("1", "lpet"), ("1", "mfdiff"), ("5", "unet"), ("5", "mfdiff"),
    }  # fmt: skip
    assert {row.estimate for row in joined} == {"single", "mean_of_4"}


def test_in_vivo_settings_join_under_their_own_names() -> None:
    table = scores(dataset="ood1", settings=("2min",), learning="external_internal")
    rows = assemble(table, plan=PLAN)
    assert {row.table for row in rows} == {"2"}, "one regime is no comparison of regimes"
    (row,) = pick(rows, table="2", method="mfdiff", metric="psnr_db", variant="paper")
    assert (row.setting, row.paper_mean) == ("2min", 36.97)


def test_table_6_compares_the_regimes_beside_the_published_ones() -> None:
    """Each regime has its rows, in the order of the study; 30.67 dB is published for two stages."""
    table = pd.concat(
        [
            scores(dataset="ood1", settings=("16s",), methods=("lpet",)),
            *(
                scores(dataset="ood1", settings=("16s",), methods=("mfdiff",), learning=regime)
                for regime in ("external", "external_internal", "internal")
            ),
        ]
    )
    assembled = pick(assemble(table, plan=PLAN), table="6")
    rows = pick(assembled, metric="psnr_db", variant="paper")
    assert [(row.method, row.learning, row.paper_mean) for row in rows] == [
        ("mfdiff", "internal", 29.81),
        ("mfdiff", "external", 21.91),
        ("mfdiff", "external_internal", 30.67),
        ("lpet", "-", None),
    ]
    assert "| mfdiff | external_internal |" in tables_page(assembled, plan=PLAN)
    figure = draw_table(assembled)
    assert [text.get_text() for text in figure.axes[0].get_yticklabels()] == [
        "mfdiff, internal", "mfdiff, external", "mfdiff, external_internal", "lpet, -",
    ]  # fmt: skip


def test_table_2_shows_two_stages_and_table_7_what_one_stage_of_mixed_data_makes_of_it() -> None:
    """36.97 dB is published for two stages, 35.89 dB for one."""
    plan = replace(PLAN, regimes=(*REGIMES, "mixed"))
    table = pd.concat(
        [
            scores(dataset="ood1", settings=("2min",), methods=("lpet",)),
            # A filter that is tuned on the same scans, whatever networks learn from.
            scores(dataset="ood1", settings=("2min",), methods=("gaussian",), learning="internal"),
            *(
                scores(dataset="ood1", settings=("2min",), methods=("mfdiff",), learning=regime)
                for regime in plan.regimes
            ),
        ]
    )
    rows = pick(assemble(table, plan=plan), metric="psnr_db", variant="paper")
    found = {
        number: [(row.method, row.learning, row.paper_mean) for row in pick(rows, table=number)]
        for number in ("2", "7")
    }
    assert found == {
        "2": [
            ("gaussian", "internal", None), ("mfdiff", "external_internal", 36.97), ("lpet", "-", 34.65),
        ],
        "7": [
            ("gaussian", "internal", None), ("mfdiff", "external_internal", 36.97),
            ("mfdiff", "mixed", 35.89), ("lpet", "-", None),
        ],
    }  # fmt: skip


def test_a_setting_that_lacks_a_regime_is_not_compared() -> None:
    """Settings may have regimes of their own: 16s has no mixed training, 1s one regime alone."""
    plan = replace(PLAN, regimes=(*REGIMES, "mixed"))
    learned = {"2min": plan.regimes, "16s": REGIMES, "1s": ("external",)}
    table = pd.concat(
        [
            scores(dataset="ood1", settings=tuple(learned), methods=("lpet",)),
            *(
                scores(
                    dataset="ood1", settings=(setting,), methods=("gaussian", "mfdiff"), learning=regime
                )
                for setting, ways in learned.items()
                for regime in ways
            ),
        ]
    )
    table["learning"] = table["learning"].where(table["method"] != "gaussian", "internal")
    table = table.drop_duplicates([name for name in table.columns if name != "value"])
    rows = assemble(table, plan=plan)
    settings = {number: {row.setting for row in pick(rows, table=number)} for number in "267"}
    assert settings == {"2": set(learned), "6": {"2min", "16s"}, "7": {"2min"}}


def test_networks_that_learned_in_one_way_are_in_no_comparison_of_ways() -> None:
    """Filters stay, to tell what learning is worth at all."""
    table = pd.concat(
        [
            scores(dataset="ood1", settings=("16s",), methods=("lpet",)),
            scores(dataset="ood1", settings=("16s",), methods=("unet",), learning="external_internal"),
            *(
                scores(dataset="ood1", settings=("16s",), methods=("mfdiff",), learning=regime)
                for regime in REGIMES
            ),
        ]
    )
    rows = assemble(table, plan=PLAN)
    methods = {number: {row.method for row in pick(rows, table=number)} for number in "26"}
    assert methods == {"2": {"lpet", "unet", "mfdiff"}, "6": {"lpet", "mfdiff"}}


def test_a_setting_without_the_published_regime_shows_what_it_has() -> None:
    """Table 2 is about two stages; a setting that one stage restores is not left out of every table."""
    table = pd.concat(
        [
            scores(dataset="ood1", settings=("16s",), learning="external"),
            scores(dataset="ood1", settings=("2min",), learning="external_internal"),
        ]
    )
    rows = assemble(table, plan=PLAN)
    found = {(row.table, row.setting, row.learning) for row in rows if row.method == "mfdiff"}
    assert found == {("2", "16s", "external"), ("2", "2min", "external_internal")}


def test_a_data_set_that_nobody_published_has_a_table_of_its_own_name() -> None:
    """Of scans or simulated, restored under one regime, several or none; ood2 is published of scans."""
    own = {"mine": ("external",), "shifted": ("internal", "external"), "ood2": ("external",)}
    table = pd.concat(
        scores(dataset=dataset, settings=("16s",), learning=regime, source=f"from_{dataset}")
        for dataset, regimes in own.items()
        for regime in regimes
    )
    table = table.drop_duplicates([name for name in table.columns if name != "value"])
    rows = assemble(pd.concat([scores(), table]), plan=PLAN)
    tables = {name: [*dict.fromkeys(r.table for r in pick(rows, dataset=name))] for name in own}
    assert tables == {"mine": ["mine"], "shifted": ["6", "shifted"], "ood2": ["ood2"]}
    assert {row.method for row in rows if row.table == "mine"} == set(METHODS)
    assert not [row for row in rows if row.dataset in own and row.paper_mean is not None]
    page = tables_page(rows, plan=PLAN)
    for line in (
        "## Table mine: in vivo, no published table",
        "## Table shifted: phantoms, no published table",
        "## Table ood2: phantoms, no published table",
    ):
        assert page.count(f"{line}\n") == 1
    labels = {
        axis.get_title(loc="left"): [text.get_text() for text in axis.get_yticklabels()]
        for table in ("mine", "shifted")
        for axis in draw_table(pick(rows, table=table)).axes
    }
    assert labels["mine, 16s"] == [*METHODS]
    assert labels["shifted, 16s"][:3] == [
        "gaussian, internal", "gaussian, external", "mfdiff, internal",
    ]  # fmt: skip


def test_another_data_set_changes_no_other_row() -> None:
    own = scores(dataset="mine", settings=("16s",), source="ds000001")
    alone = replace(PLAN, datasets={"phantom": "simulated"})
    before = assemble(scores(), plan=alone)
    assert [*before] == [row for row in assemble(pd.concat([own, scores()]), plan=PLAN)
                         if row.dataset == "phantom"]  # fmt: skip


def test_data_sets_of_different_origin_stand_in_one_comparison_of_regimes() -> None:
    """Scans of two data sets, or scans and phantoms: only what is compared must be of one origin."""
    table = pd.concat(
        scores(dataset=dataset, settings=("16s",), methods=("mfdiff",), learning=regime, source=source)
        for dataset, source in (("ood1", "ds002898"), ("mine", "ds003397"), ("shifted", "brainweb"))
        for regime in ("internal", "external")
    )
    rows = pick(assemble(table, plan=PLAN), table="6")
    assert {(row.dataset, row.data_source) for row in rows} == {
        ("ood1", "ds002898"), ("mine", "ds003397"), ("shifted", "brainweb"),
    }  # fmt: skip


def test_statistics_reach_the_row() -> None:
    rows = assemble(scores(replicates=2), plan=PLAN)
    (row,) = pick(rows, table="1", setting="drf20", method="lpet", metric="ssim", variant="paper")
    assert row.mean == pytest.approx(2 + 5 + 0.05 + 0.01)
    assert row.seed_std == pytest.approx(10 / 2**0.5)
    assert row.ci_low < row.mean < row.ci_high
    assert (row.n_subjects, row.n_slices, row.n_replicates) == (2, 6, 2)
    assert row.protocol == "small: lpet as configured"
    assert row.learning == "-"


def test_iterations_of_each_stage_stand_in_the_row_of_what_is_trained() -> None:
    ood1 = [
        scores(dataset="ood1", settings=("16s",), methods=("mfdiff", "unet"), learning=regime)
        for regime in ("internal", "external", "external_internal")
    ]
    filtered = scores(dataset="ood1", settings=("16s",), methods=("gaussian", "lpet"))
    rows = assemble(pd.concat([scores(), filtered, *ood1]), plan=PLAN)
    found = {(row.dataset, row.method, row.learning): row.iterations for row in rows}
    assert found == {
        ("phantom", "mfdiff", "external"): "1000", ("phantom", "unet", "external"): "2500",
        **{("phantom", "gaussian", "external"): "-", ("phantom", "lpet", "-"): "-"},
        **{("ood1", "gaussian", "external"): "-", ("ood1", "lpet", "-"): "-"},
        **{("ood1", method, word): text
           for method in ("mfdiff", "unet")
           for word, text in PLAN.iterations["ood1"][method].items()},
    }  # fmt: skip
    assert "| mfdiff | external_internal | 1000 + 150 | single |" in tables_page(rows, plan=PLAN)


def test_rows_and_page_say_how_far_samples_spread_and_where_that_is_little() -> None:
    """Never why: a true sampler whose mean is off has as little spread for its error as a regression."""
    table = pd.concat(
        scores(settings=(setting,), spread=spread, replicates=2)
        for setting, spread in (("drf100", 0.29), ("drf20", 0.97))
    )
    rows = assemble(table, plan=PLAN)
    verdict = ", below 0.3: in effect a regression, or a sampler that is off"
    for setting, spread, said in (("-", 0.29, verdict), ("drf20", 0.97, "")):
        for row in pick(rows, table="1", setting=setting, method="mfdiff"):
            assert row.spread_to_error == pytest.approx(spread)
            assert row.protocol == (
                f"small: mfdiff as configured; samples spread by {spread} of their error "
                f"(true samples of the posterior: 1){said}"
            )
    assert {row.spread_to_error for row in rows if row.method != "mfdiff"} == {None}
    page = tables_page(rows, plan=PLAN)
    for number, spread, more in (("1", "0.29 to 0.97", "8 to 94"), ("5", "0.29", "8")):
        note = page.split(f"## Table {number}: ")[1].split("\n- ")[1].splitlines()[0]
        assert note.startswith(f"`mfdiff`: samples spread by {spread} of their error, bias included")
        assert f"one has {more} % more squared error than the mean of endless ones" in note
        setting = "-" if number == "1" else "ablation"
        verdict = "Below 0.3 it is in effect a regression, or a sampler that is off, which this does not"
        assert note.endswith(f"{verdict} tell apart: phantom, setting `{setting}`.")
    above = tables_page(assemble(scores(spread=0.31), plan=PLAN), plan=PLAN)
    assert "samples spread by 0.31" in above
    assert "in effect" not in above
    none = assemble(scores(), plan=PLAN)
    assert not any("spread" in row.protocol for row in none)
    assert "samples spread by" not in tables_page(none, plan=PLAN)


def test_published_cells_that_contradict_each_other_are_marked_where_printed() -> None:
    """Table 6's 2min/external is M-UNet's row of Table 1."""
    table = pd.concat(
        scores(dataset="ood1", settings=("2min",), methods=("mfdiff",), learning=regime)
        for regime in ("internal", "external")
    )
    assembled = assemble(table, plan=PLAN)
    figure = draw_table(pick(assembled, table="6"))
    legend = [text.get_text() for text in figure.legends[0].get_texts()]
    assert {"published", "published, doubted"} <= set(legend)
    page = tables_page(assembled, plan=PLAN)
    doubted = ("31.35 ± 2.59 †", "0.981 ± 0.007 †", "0.018 ± 0.009 †")
    for published in (*doubted, "35.63 ± 0.95", "0.984 ± 0.009"):
        assert f"| {published} |" in page
    assert "† Published, `mfdiff`: identical to M-UNet on phantoms in Table 1." in page


def test_labels_of_metrics_stand_alone_and_differ() -> None:
    for variant in VARIANTS:
        labels = {metric.name: metric.label for metric in METRICS if metric.variant == variant}
        assert len({*labels.values()}) == len(labels)
        for name, label in labels.items():
            if "_only_" in name:
                assert re.match(r"(PET|T1)-only (\w+ )?lesions: ", label)
            assert ("RMS per slice" in label) == ("_rms_" in name), "cells are means over slices"


def test_adding_a_method_or_shuffling_files_changes_no_row() -> None:
    few = assemble(scores(methods=("gaussian", "mfdiff")), plan=PLAN)
    shuffled = assemble(scores().sample(frac=1.0, random_state=1), plan=PLAN)
    assert [row for row in shuffled if row.method in ("gaussian", "mfdiff")] == list(few)


def test_one_subject_has_an_empty_interval() -> None:
    rows = assemble(scores(subjects=("04",)), plan=PLAN)
    assert {(row.cells()["ci_low"], row.cells()["ci_high"]) for row in rows} == {("", "")}
    assert "**One test subject" in tables_page(rows, plan=PLAN)


def test_slices_without_a_lesion_are_left_out_of_its_metric() -> None:
    table = scores()
    contrast = table["metric"] == "pet_only_contrast_percent"
    table.loc[contrast & table["key"].str.endswith("_0"), "value"] = None
    table.loc[contrast & (table["setting"] == "drf20"), "value"] = None
    found = pick(assemble(table, plan=PLAN), metric="pet_only_contrast_percent", method="lpet")
    assert [(row.setting, row.n_slices) for row in found] == [("-", 4)]


def test_cells_are_text_with_six_digits() -> None:
    row = assemble(scores(), plan=PLAN)[0]
    cells = replace(row, mean=1.23456789, std=None, n_slices=50).cells()
    assert (cells["mean"], cells["std"], cells["n_slices"]) == ("1.23457", "", "50")
    assert tuple(cells) == TABLE_COLUMNS


def registered_by(*engines: str) -> pd.DataFrame:
    """Scores of scans, a setting for each engine."""
    parts = [
        scores(methods=("lpet",), settings=(f"by_{engine}",), dataset="ood1").assign(registration=engine)
        for engine in engines
    ]
    return pd.concat(parts)


def test_scans_without_t1_stand_beside_registered_ones() -> None:
    rows = assemble(registered_by("embedded", "none"), plan=PLAN)
    assert {(row.setting, row.registration) for row in rows} == {
        ("by_embedded", "embedded"),
        ("by_none", "none"),
    }


def test_unusable_scores_are_refused() -> None:
    good = scores()
    mixed = pd.concat([scores(methods=("lpet",)), scores(methods=("unet",), source="template")])
    fewer = good.drop(good[(good["method"] == "unet") & (good["key"] == "04_0")].index)
    for table, message in (
        (scores(methods=("lpet", "stranger")), "unknown method 'stranger'"),
        (scores(dataset="elsewhere"), "unknown data set 'elsewhere'"),
        (good.assign(metric="lpips"), "unknown metric 'lpips/"),
        (mixed, "would mix the data_source values brainweb, template"),
        (
            registered_by("embedded", "none", "spm12"),
            "would mix the registration values embedded, spm12",
        ),
        (pd.concat([good, good.iloc[:1]]), "scored twice"),
        (fewer, "scored on other slices"),
    ):
        with pytest.raises(InputError, match=message):
            assemble(table, plan=PLAN)


def test_page_names_the_template_loudly_and_only_then() -> None:
    template = assemble(scores(source="template"), plan=PLAN)
    assert TEMPLATE_WARNING in tables_page(template, plan=PLAN)
    assert "warps of one brain" in TEMPLATE_WARNING
    assert "NMSE" not in TEMPLATE_WARNING, "figures of one study are no facts of another"
    standin = assemble(scores(dataset="ood1", source="standin-template"), plan=PLAN)
    assert TEMPLATE_WARNING in tables_page(standin, plan=PLAN)
    assert TEMPLATE_WARNING not in tables_page(assemble(scores(), plan=PLAN), plan=PLAN)


@pytest.mark.parametrize("head", ["brainweb", "template"])
def test_page_calls_simulated_scans_simulated_everywhere(head: str) -> None:
    """Headings, claim and figure of stand-ins; the template is warned of as in phantoms."""
    scans = scores(dataset="ood1", settings=("16s",), source=f"standin-{head}")
    rows = assemble(pd.concat([scores(), scans]), plan=PLAN)
    page = tables_page(rows, plan=PLAN)
    assert STANDIN_WARNING in page
    assert (TEMPLATE_WARNING in page) == (head == "template")
    assert "## Table 2: SIMULATED scans, in place of in vivo, OOD data 1" in page
    assert "### ood1 (simulated scans), setting `16s`: 6 slices of 2 test subject(s)" in page
    claim = page.partition("## Claim")[2].partition("## Known")[0]
    assert "ood1/16s (simulated scans), phantom/" in claim
    assert f"brainweb (simulated phantoms), standin-{head} (simulated scans of digital heads)" in claim
    assert "All data are simulated: nothing is shown in vivo." in claim
    for table, title in (("2", "ood1, 16s (simulated scans)"), ("1", "phantom, -")):
        figure = draw_table(pick(rows, table=table))
        assert title in [axis.get_title(loc="left") for axis in figure.axes]


def test_page_calls_real_scans_in_vivo() -> None:
    scans = scores(dataset="ood1", settings=("16s",), source="ds002898")
    page = tables_page(assemble(pd.concat([scores(), scans]), plan=PLAN), plan=PLAN)
    assert "## Table 2: in vivo, OOD data 1" in page
    assert "simulated scans" not in page
    assert STANDIN_WARNING not in page
    assert "All data are simulated" not in page
    assert "source brainweb (simulated phantoms), ds002898;" in page


def test_page_tells_the_physics() -> None:
    plan = replace(PLAN, physics=("Data and model are the same", "Windows overlap"))
    deviations = tables_page(assemble(scores(), plan=plan), plan=plan).partition("## Known")[2]
    assert "- Data and model are the same.\n- Windows overlap.\n" in deviations


@pytest.mark.parametrize("projector", ["embedded", "sirf"])
def test_page_says_what_was_acquired_whatever_the_projector(projector: str) -> None:
    table = scores().assign(projector=projector)
    plan = replace(PLAN, acquisition="scatter 37 %, no randoms")
    page = tables_page(assemble(table, plan=plan), plan=plan)
    assert "scatter 37 %, no randoms" in page
    assert "no scatter" not in page


def test_page_is_well_formed_markdown() -> None:
    table = scores(replicates=2, methods=METHODS[:3], estimates=("single", "mean_of_4"))
    page = tables_page(assemble(table, plan=PLAN), plan=PLAN)
    assert page.count("## Table 1") == page.count("## Table 5") == 1
    assert "| 21.13 ± 2.71 |" in page
    assert "Configured, but not scored: unet." in page
    for block in page.split("\n\n"):
        widths = {line.count("|") for line in block.splitlines() if line.startswith("|")}
        assert len(widths) <= 1


def test_page_gives_the_share_of_the_nmse_that_is_due_to_the_maximum() -> None:
    table = scores(methods=("lpet",), settings=("drf100",))
    of_maximum = table["metric"] == "nmse_of_maximum_percent"
    table.loc[of_maximum, "value"] = [40.0, 60.0, 80.0] * 2
    rows = assemble(table, plan=PLAN)
    page = tables_page(rows, plan=PLAN)
    paper = page.partition("Variant `paper`")[2]
    header, row = (
        next(line for line in paper.splitlines() if line.startswith(start)).split(" | ")
        for start in ("| Method", "| lpet")
    )
    assert row[header.index("NMSE due to the maximum (%)")].startswith("60 ± 18")


def test_rows_name_what_was_measured() -> None:
    plan = replace(PLAN, evaluation=EvaluationSettings(paper_window_pixels=100))
    (row,) = pick(
        assemble(scores(methods=("lpet",), settings=("drf100",)), plan=plan),
        metric="psnr_db",
        variant="jointly_scaled",
    )
    assert row.metric_id == (
        "psnr_db:ref=standard,scale=standard_max,window=central100,range=1,mask=none,mean=slices"
    )


def test_scores_against_the_truth_stand_in_no_table_of_comparison_with_the_standard_dose() -> None:
    found = scores()
    assert "truth" in set(found["variant"])
    rows = assemble(found, plan=PLAN)
    assert {row.variant for row in rows} == {"paper", "jointly_scaled", "quantitative"}


def test_figure_of_a_table_has_a_row_of_panels_for_each_setting() -> None:
    rows = pick(assemble(scores(estimates=("single", "mean_of_4")), plan=PLAN), table="1")
    figure = draw_table(rows)
    assert len(figure.axes) == 2 * len(PANELS)
    (lpet,) = pick(rows, setting="-", method="lpet", estimate="single", metric="nmse", variant="paper")
    panel = next(axis for axis in figure.axes if axis.get_xlabel() == "NMSE, paper")
    drawn = {line.get_label(): line.get_xdata() for line in panel.lines}
    assert lpet.mean in drawn["mean"]
    assert lpet.paper_mean in drawn["published"]


def test_figure_shows_every_subject_beside_the_mean() -> None:
    rows = pick(assemble(scores(methods=("lpet",), replicates=2), plan=PLAN), table="1")
    for axis in draw_table(rows).axes:
        (subjects,) = (line for line in axis.lines if line.get_label() == "one test subject")
        # Trainings 0 and 10; slices 0, 0.01 and 0.02; subjects 0.1 apart.
        np.testing.assert_allclose(subjects.get_xdata(), (5.01, 5.11))
        assert len(set(subjects.get_ydata())) == 2


def test_with_one_subject_no_interval_is_promised_and_its_value_is_seen() -> None:
    for subjects, promised in ((("04",), False), (("04", "05"), True)):
        rows = assemble(scores(subjects=subjects), plan=PLAN)
        section = tables_section(rows, plan=PLAN, figures={"1": "table1.png"})
        (figure,) = section.sections[0].figures
        assert ("interval" in figure.caption) == ("interval" in figure.alt) == promised
        assert any("[interval" in note for note in section.notes) == promised
        assert any(note.startswith("Interval: ") for note in section.notes) == promised
        assert ("% interval" in render(rows, plan=PLAN)) == promised
        for axis in draw_table(pick(rows, table="1")).axes:
            lines = {line.get_label(): line for line in axis.lines}
            ring, mean = lines["one test subject"], lines["mean"]
            assert ring.get_zorder() > mean.get_zorder()
            assert ring.get_markersize() > mean.get_markersize()
            assert ring.get_fillstyle() == "none"


def test_the_caption_names_the_marks_of_published_values_that_are_there() -> None:
    rows = assemble(scores(), plan=PLAN)
    doubts = {"sure": "", "doubted": "contradicts itself"}
    for name, doubt in doubts.items():
        shown = [replace(row, paper_doubt=doubt) if row.paper_mean else row for row in rows]
        section = tables_section(shown, plan=PLAN, figures={"1": "table1.png"})
        caption = section.sections[0].figures[0].caption
        assert ("(crosses)" in caption) == (name == "sure")
        assert ("doubted (three-pointed stars)" in caption) == (name == "doubted")
    shown = [replace(row, paper_mean=None) for row in rows]
    section = tables_section(shown, plan=PLAN, figures={"1": "table1.png"})
    assert "published" not in section.sections[0].figures[0].caption


def test_the_short_page_has_common_units_beside_published_values_and_leads_to_the_report() -> None:
    rows = assemble(scores(estimates=("single", "mean_of_4")), plan=PLAN)
    page = render(rows, plan=PLAN)
    assert page.startswith("# Results\n")
    assert "`report.html`" in page
    assert "Variant" not in page
    assert page.count("## Table 1: ") == 1
    header = next(line for line in page.splitlines() if line.startswith("| Method"))
    metrics = [
        f"{name}{what}"
        for name in ("PSNR (dB)", "SSIM", "NMSE")
        for what in ("", ", published", ", ours minus published")
    ]
    assert header == f"| {' | '.join(['Method', 'Learning', 'Estimate', *metrics])} |"
    (ours,) = pick(
        rows, table="1", setting="-", method="lpet", estimate="single", metric="psnr_db",
        variant="quantitative",
    )  # fmt: skip
    line = next(line for line in page.splitlines() if line.startswith("| lpet | - | single |"))
    assert line.split(" | ")[3].startswith(f"{ours.mean:.2f} ± ")
    assert line.split(" | ")[4] == "21.13 ± 2.71"
    assert TEMPLATE_WARNING not in page
    template = assemble(scores(source="template"), plan=PLAN)
    assert f"> **WARNING - {TEMPLATE_WARNING}**" in render(template, plan=PLAN)


def test_the_section_puts_the_variant_that_ranks_methods_first() -> None:
    section = tables_section(assemble(scores(), plan=PLAN), plan=PLAN, figures={"1": "table1.png"})
    first = section.sections[0]
    assert first.id == "table-1"
    assert [figure.file for figure in first.figures] == ["table1.png"]
    groups = [[table.variant for table in tables] for _, tables in switched(first.tables)]
    assert groups == [["quantitative", "paper", "jointly_scaled"]] * 2


def test_the_summary_names_the_best_means_and_how_many_subjects_they_are_of() -> None:
    """Values grow with the place of a method; every metric has the same ones."""
    rows = pick(assemble(scores(settings=("drf100",)), plan=PLAN), table="1")
    summary = summary_of_setting(rows)
    assert summary.startswith("`gaussian` has the least NMSE, 0.060, before `mfdiff`, 1.060; `unet` has")
    assert summary.endswith("(means of 2 test subjects).")
    alone = assemble(scores(settings=("drf100",), subjects=("04",)), plan=PLAN)
    assert "no difference between methods can be tested" in summary_of_setting(pick(alone, table="1"))


def test_the_page_states_the_budget_of_networks():
    rows = assemble(scores(), plan=PLAN)
    assert f"Budget, one rule for all networks: {PLAN.budget}." in tables_page(rows, plan=PLAN)
    assert "Budget" not in tables_page(rows, plan=dataclasses.replace(PLAN, trained=()))
