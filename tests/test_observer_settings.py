"""The section ``observers``: what a study may say, and what its jobs make of it."""

from __future__ import annotations

import pytest

from quietpet.errors import InputError
from quietpet.study.reading import load_study, read_yaml
from quietpet.study.select import job_of, settings_for


@pytest.fixture
def raw(repository):
    found = read_yaml(repository / "workflow/configs/tiny.yaml")
    found["realisations"] = {"data": ["phantom/low"]}
    return found


def test_areas_are_compared_with_those_of_the_low_dose_unless_a_study_says_otherwise(raw) -> None:
    assert job_of(load_study(raw, origin="a.yaml"), "detection").compare_with == "lpet"
    raw["observers"] = {"compare_with": "gaussian", "width_mm": 12}
    job = job_of(load_study(raw, origin="a.yaml"), "detection")
    assert (job.compare_with, job.channels.width_mm) == ("gaussian", 12)
    assert job.channels.describe() == "4 Laguerre-Gauss channels of 12 mm"
    del raw["observers"], raw["methods"]["lpet"]
    assert job_of(load_study(raw, origin="a.yaml"), "detection").compare_with is None


def test_ratings_depend_on_the_channels_and_on_nothing_of_the_tables(raw) -> None:
    names = {"dataset": "phantom", "setting": "low", "method": "lpet", "replicate": "r0"}
    before = settings_for(load_study(raw, origin="a.yaml"), "observe", **names)
    raw |= {"evaluation": {"confidence": 0.9}, "observers": {"compare_with": "gaussian"}}
    assert settings_for(load_study(raw, origin="a.yaml"), "observe", **names) == before
    raw["observers"] = {"count": 5}
    assert settings_for(load_study(raw, origin="a.yaml"), "observe", **names) != before


def test_too_few_realisations_are_refused_before_anything_is_restored(raw) -> None:
    raw["realisations"]["count"] = 3
    with pytest.raises(InputError, match=r"realisations\.count = 3: .* takes 4"):
        load_study(raw, origin="a.yaml")


@pytest.mark.parametrize(
    ("observers", "message"),
    [
        ({"compare_with": "munte"}, "observers.compare_with: no method 'munte'; there are lpet, "),
        ({"channels": "gabor"}, "observers.channels"),
        ({"count": 0}, "observers.count"),
        ({"width_mm": 0}, "observers.width_mm"),
        ({"width": 10}, "observers.width"),
    ],
)
def test_mistakes_name_the_key(raw, observers, message: str) -> None:
    raw["observers"] = observers
    with pytest.raises(InputError, match=message):
        load_study(raw, origin="a.yaml")
