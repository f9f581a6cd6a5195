"""Which test sets the figures of images show: the section ``report`` of a study."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from quietpet.errors import InputError
from quietpet.study.reading import load_study, read_yaml
from quietpet.study.root import Study


@pytest.fixture
def raw(repository: Path) -> dict[str, Any]:
    return read_yaml(repository / "workflow/configs/tiny.yaml")


def study(raw: dict[str, Any], **sections: Any) -> Study:
    return load_study({**raw, **sections}, origin="study.yaml")


def test_the_published_dose_of_the_phantoms_is_shown_unless_another_is_named(raw):
    other = {name: value for name, value in raw["doses"]["low"]["low"].items() if name != "published"}
    doses = {**raw["doses"], "low": {"first": other, **raw["doses"]["low"]}}
    assert list(study(raw, doses=doses).gallery) == [("phantom", "low")]
    named = study(raw, doses=doses, report={"gallery": ["phantom/first"]})
    assert list(named.gallery) == [("phantom", "first")]
    assert study(raw, report={"gallery": []}).gallery == {}


def test_every_method_is_shown_once_by_its_first_training(raw):
    shown = study(raw, replicates=2).gallery["phantom", "low"]
    assert [run.method for run in shown] == list(raw["methods"])
    assert {run.replicate for run in shown} == {"r0"}


def test_networks_are_shown_as_they_all_learned(repository):
    """Some learned in four ways, most in one."""
    whole = load_study(read_yaml(repository / "config.yaml"), origin="config.yaml")
    changed = whole.model_dump(mode="json") | {"report": {"gallery": ["ood1/2min"]}}
    shown = load_study(changed, origin="config.yaml").gallery["ood1", "2min"]
    assert {run.regime for run in shown} == {"", "external_internal"}
    assert (
        len(shown) == len({run.method for run in shown}) == len(whole.methods) - 3
    )  # without=[unet], sinograms


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"report": {"gallery": ["phantom/none"]}},
            "report.gallery: no data set 'phantom/none'; there are phantom/low",
        ),
        ({"report": {"gallery": ["phantom/low"] * 2}}, "'phantom/low' stands there twice; keep one"),
        ({"report": {"gallery": ["low"]}}, "report.gallery"),
        (
            {"report": {"gallery": ["phantom/low"]}, "methods": {"lpet": {}}},
            "report.gallery: no method restores phantom/low; add one",
        ),
    ],
)
def test_what_cannot_be_shown_is_refused(raw, changes, message):
    with pytest.raises(InputError, match=message):
        study(raw, **changes)
