"""How much each dose of a study is, which data sets have several, and what is crossed between them."""

from __future__ import annotations

import copy

import numpy as np
import pytest

from quietpet.errors import InputError
from quietpet.study.dose_amounts import crossed, dose_amounts
from quietpet.study.reading import load_study, read_yaml
from quietpet.study.select import job_of

RECONSTRUCTION = {"psf_fwhm_mm": 2.5, "iterations": 10, "subsets": 14}
MMR_SLICES = 127


def thinned(fraction, **given):
    return {"thinned": {"fraction": fraction, **given}, **RECONSTRUCTION}


@pytest.fixture
def raw(repository):
    """The small study of phantoms alone, with two methods that are fitted and one that is not."""
    whole = read_yaml(repository / "config.yaml")
    further = ("domains", "standin", "invivo", "learning", "realisations")
    study = {key: copy.deepcopy(whole[key]) for key in whole if key not in further}
    study["methods"] = {"lpet": {}, "gaussian": {}, "nafnet": whole["methods"]["nafnet"]}
    return study


def with_low(raw, **low):
    return {**raw, "doses": {**raw["doses"], "low": low}}


def fractions(raw):
    study = load_study(raw, origin="study.yaml")
    return {each.setting: (each.fraction, each.way) for each in dose_amounts(study)}


def test_one_dose_is_no_ladder(raw):
    assert fractions(raw) == {}


def test_thinned_doses_are_the_parts_that_they_keep(raw):
    found = fractions(
        with_low(raw, half=thinned(0.5), tenth=thinned(0.1), weak=thinned(0.1, fraction_of="activity"))
    )
    assert found == {
        "half": (0.5, "thinned, time"),
        "tenth": (0.1, "thinned, time"),
        "weak": (0.1, "thinned, activity"),
    }


def test_counts_are_relative_to_those_of_the_standard_dose(raw):
    """The middle of a range; counts of a slice are those of one of the mMR's 127."""
    counts = {
        "low": {"counts": [9e7, 1.2e8], **RECONSTRUCTION},
        "quarter": {"counts": 2.5e9, **RECONSTRUCTION},
        "by_slice": {"counts": 1e10 / MMR_SLICES / 5, "counts_per": "slice", **RECONSTRUCTION},
    }
    found = {name: fraction for name, (fraction, _) in fractions(with_low(raw, **counts)).items()}
    assert found == {
        "low": pytest.approx(0.0105), "quarter": pytest.approx(0.25), "by_slice": pytest.approx(0.2),
    }  # fmt: skip


def test_scans_are_relative_by_their_decays(repository):
    """Decays of A 2^(-t/T) from the start to the end of a scan, integrated numerically."""
    raw = read_yaml(repository / "workflow/configs/dose_ladder.yaml")
    found = fractions(raw)
    minutes = np.linspace(0, 1, 100_001)

    def decays(injected, uptake, length):
        return injected * length * np.mean(2.0 ** (-(uptake + length * minutes) / 109.77))

    assert found["later"][0] == pytest.approx(decays(200, 90, 5) / decays(200, 40, 15), rel=1e-5)
    assert {name: found[name][0] for name in ("half", "quarter", "tenth", "tenth_activity")} == {
        "half": 0.5, "quarter": 0.25, "tenth": 0.1, "tenth_activity": 0.1,
    }  # fmt: skip


def test_windows_are_parts_of_the_time_of_the_long_one(repository):
    """2 min, and one frame of 16 s, of 30 min; settings of other test subjects are no ladder."""
    study = load_study(read_yaml(repository / "config.yaml"), origin="config.yaml")
    found = {(each.dataset, each.setting): each.fraction for each in dose_amounts(study)}
    assert found == {
        ("ood1", "2min"): pytest.approx(2 / 30),
        ("ood1", "16s"): pytest.approx(16 / 1800),
    }


def pairs_study(repository, dose_response):
    """Doses of a folder of pairs, of which the configuration knows the names alone."""
    raw = read_yaml(repository / "config.yaml")
    splits = {"train": ["01"], "validation": ["02"], "test": ["03", "04"]}
    settings = {"x20": {"dose": "x20"}, "x100": {"dose": "x100"}}
    raw["invivo"] = {
        "sources": {"own": {"kind": "pairs", "root": "/data/own"}},
        "datasets": {"pairs": {"source": "own", "splits": splits, "settings": settings}},
    }
    del raw["standin"]
    return load_study({**raw, "dose_response": dose_response}, origin="study.yaml")


def test_doses_that_the_configuration_does_not_say_are_stated_or_left_out(repository):
    assert dose_amounts(pairs_study(repository, {})) == ()
    stated = {"fractions": {"pairs/x20": 0.05, "pairs/x100": 0.01}}
    found = dose_amounts(pairs_study(repository, stated))
    assert [(each.setting, each.fraction, each.way) for each in found] == [
        ("x20", 0.05, "stated"), ("x100", 0.01, "stated"),
    ]  # fmt: skip


def test_a_level_is_added_to_what_the_step_knows_and_to_nothing_else(raw):
    two = load_study(with_low(raw, half=thinned(0.5), tenth=thinned(0.1)), origin="a.yaml")
    three = load_study(
        with_low(raw, half=thinned(0.5), tenth=thinned(0.1), fifth=thinned(0.2)), origin="b.yaml"
    )
    assert len(job_of(three, "dose_response").amounts) == len(job_of(two, "dose_response").amounts) + 1
    names = {"dataset": "phantom", "setting": "half", "method": "nafnet", "replicate": "r0"}
    for step in ("fit", "restore", "score"):
        assert job_of(two, step, **names) == job_of(three, step, **names)


def test_nothing_is_crossed_unless_asked(raw):
    study = load_study(with_low(raw, half=thinned(0.5), tenth=thinned(0.1)), origin="study.yaml")
    assert list(crossed(study)) == []


def crossing(raw, **low):
    return load_study({**with_low(raw, **low), "dose_response": {"cross": True}}, origin="study.yaml")


def test_first_trainings_and_filters_restore_every_other_dose(raw):
    study = crossing(raw, half=thinned(0.5), tenth=thinned(0.1))
    found = list(crossed(study))
    assert {(run.trained_on, run.setting) for run in found} == {("half", "tenth"), ("tenth", "half")}
    assert {run.method for run in found} == {"gaussian", "nafnet"}
    assert {run.replicate for run in found} == {"r0"}
    assert not {*found} & {*study.scored}


def test_what_is_crossed_differs_from_the_ordinary_restoration_in_its_weights_alone(raw):
    """The same noise, slices and settings: the difference is what learning at another dose costs."""
    study = crossing(raw, half=thinned(0.5), tenth=thinned(0.1))
    names = {"dataset": "phantom", "setting": "tenth", "method": "nafnet", "replicate": "r0"}
    for step in ("restore", "score"):
        own, other = job_of(study, step, **names), job_of(study, step, **names, trained_on="half")
        assert own.model_dump() | {"learning": "external@half"} == other.model_dump()
        assert own.learning == "external"


def test_a_stage_that_learned_elsewhere_is_not_crossed(raw):
    """Its weights are the same whatever dose is restored."""
    domain = {"doses": {**raw["doses"], "low": {"half": thinned(0.5), "tenth": thinned(0.1)}}}
    staged = {
        "domains": {"other": domain},
        "learning": {
            "stages": {"external": {"data": ["phantom/low"]}, "internal": {"data": ["own"]}},
            "regimes": {"external": ["external"], "both": ["external", "internal"]},
        },
        "dose_response": {"cross": True},
    }
    found = list(crossed(load_study({**raw, **staged}, origin="study.yaml")))
    assert {run.dataset for run in found} == {"other"}
    assert {run.regime for run in found if run.method == "nafnet"} == {"both"}
    assert {run.regime for run in found if run.method == "gaussian"} == {""}


@pytest.mark.parametrize(
    ("dose_response", "message"),
    [
        ({"cross": True}, r"dose_response\.cross: no phantoms have two doses"),
        ({"fractions": {"phantom/high": 0.5}}, r"no data set 'phantom/high'; there are phantom/low"),
        ({"fractions": {"phantom/low": 1.5}}, r"dose_response\.fractions.*less than 1, got 1\.5"),
        ({"factors": [4, 2]}, r"dose_response\.factors: factors must rise"),
        ({"factors": [1]}, r"dose_response\.factors.*greater than 1"),
    ],
)
def test_mistakes_are_found_before_any_job(raw, dose_response, message):
    with pytest.raises(InputError, match=message):
        load_study({**raw, "dose_response": dose_response}, origin="study.yaml")
