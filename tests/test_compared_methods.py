"""Which method the others are compared with, which tables there will be, and what runs again for it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from quietpet.errors import InputError
from quietpet.evaluation.layouts import Run, ShownPlan, TableLayout, layouts, shown
from quietpet.study.reading import load_study, read_yaml
from quietpet.study.root import Study
from quietpet.study.select_robustness import robustness_job
from quietpet.study.select_tables import exported_tables, reference_method, score_job, tables_job


@pytest.fixture
def raw(repository: Path) -> dict[str, Any]:
    return read_yaml(repository / "config.yaml")


def study_of(raw: dict[str, Any], **evaluation: object) -> Study:
    return load_study({**raw, "evaluation": {**raw["evaluation"], **evaluation}}, origin="config.yaml")


def without(raw: dict[str, Any], *names: str) -> dict[str, Any]:
    """The phantoms alone, without these methods."""
    methods = {name: each for name, each in raw["methods"].items() if name not in names}
    kept = ("invivo", "domains", "standin", "learning")
    return {**{key: value for key, value in raw.items() if key not in kept}, "methods": methods}


def test_mfdiff_is_compared_with_unless_another_is_named(raw: dict[str, Any]) -> None:
    assert reference_method(study_of(raw)) == "mfdiff"
    named = study_of(raw, compare_with="nafnet")
    assert reference_method(named) == tables_job(named).reference == "nafnet"


def test_a_study_without_mfdiff_takes_the_first_network_or_the_first_method(raw: dict[str, Any]) -> None:
    assert reference_method(study_of(without(raw, "mfdiff"))) == "unet"
    filters = without(raw, *(set(raw["methods"]) - {"gaussian", "nlm"}))
    assert reference_method(study_of(filters)) == "gaussian"


def test_a_method_that_is_not_there_is_refused_with_those_that_are(raw: dict[str, Any]) -> None:
    with pytest.raises(
        InputError, match=r"compare_with = 'nobody' is no method .* name one of lpet, gau"
    ):
        study_of(raw, compare_with="nobody")


def test_the_resamples_of_earlier_versions_are_refused_with_the_remedy(raw: dict[str, Any]) -> None:
    message = r"evaluation\.bootstrap_resamples: this key is gone: .* t intervals.*; remove the line"
    with pytest.raises(InputError, match=message):
        study_of(raw, bootstrap_resamples=2000)


def test_another_comparison_or_confidence_scores_nothing_again(raw: dict[str, Any]) -> None:
    names = {"dataset": "phantom", "setting": "low", "method": "lpet", "replicate": "r0"}
    before, after = study_of(raw), study_of(raw, compare_with="lpet", confidence=0.9)
    assert score_job(before, **names).model_dump() == score_job(after, **names).model_dump()
    assert tables_job(before).model_dump() != tables_job(after).model_dump()
    window = study_of(raw, paper_window_pixels=100)
    assert score_job(window, **names).model_dump() != score_job(before, **names).model_dump()


def test_slices_restored_with_a_wrong_t1_are_not_restored_again_either(raw: dict[str, Any]) -> None:
    raw = {**raw, "robustness": {"data": ["phantom/low"]}}
    names = {"dataset": "phantom", "setting": "low", "method": "munet_concat", "replicate": "r0"}
    before, after = (
        robustness_job(study_of(raw, **changes), **names, regime="external").model_dump()
        for changes in ({}, {"compare_with": "lpet", "confidence": 0.9})
    )
    assert before == after


def test_every_table_that_will_have_rows_has_its_files(raw: dict[str, Any], repository: Path) -> None:
    assert exported_tables(study_of(raw)) == ("1", "2", "3", "4", "5", "6", "7", "alzheimer")
    tiny = load_study(read_yaml(repository / "workflow/configs/tiny.yaml"), origin="tiny.yaml")
    assert exported_tables(tiny) == ("1", "5")
    assert exported_tables(study_of(without(raw, "mfdiff", "unet", "munet_concat"))) == ("1",)


def test_a_layout_of_another_kind_shows_nothing() -> None:
    """ood1 as phantoms is not the published ood1."""
    plan = ShownPlan(datasets={"ood1": "simulated"}, trained=("unet",), published_settings=())
    runs = [Run("ood1", "16s", "unet", "external")]
    found = {layout.table for layout in layouts(plan.datasets) if shown(layout, runs, plan)}
    assert found == {"ood1"}
    every = TableLayout(table="6", title="learning", dataset=None)
    assert shown(every, runs, plan) == frozenset()
