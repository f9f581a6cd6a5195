"""The section ``cohorts``: which data sets can be compared, found before any job runs."""

from __future__ import annotations

import copy

import pytest

from quietpet.errors import InputError
from quietpet.study.reading import load_study, read_yaml
from quietpet.study.select import job_of

LEARNING = {
    "stages": {"external": {"data": ["phantom/low"]}},
    "regimes": {"external": ["external"]},
}


@pytest.fixture
def raw(repository):
    """The small study of phantoms, and two data sets of other subjects."""
    whole = read_yaml(repository / "config.yaml")
    further = ("domains", "standin", "invivo", "learning")
    study = {key: whole[key] for key in whole if key not in further}
    doses = {"standard": whole["doses"]["standard"], "low": {"x20": whole["doses"]["low"]["low"]}}
    splits = {"train": ["48"], "validation": ["50"], "test": ["51", "52", "53"]}
    domains = {
        "healthy": {"doses": doses, "splits": splits, "regions": {}},
        "alzheimer": {
            "doses": doses, "splits": {**splits, "test": ["54", "49"]}, "regions": {"disease": {}},
        },
    }  # fmt: skip
    cohorts = {"healthy": "healthy", "diseased": ["alzheimer"]}
    return copy.deepcopy({**study, "domains": domains, "learning": LEARNING, "cohorts": cohorts})


def loaded(raw):
    return load_study(raw, origin="cohorts.yaml")


def test_cohorts_are_compared_by_every_method(raw) -> None:
    study = loaded(raw)
    job = job_of(study, "cohorts")
    assert (job.healthy, job.diseased, job.reference) == ("healthy", ("alzheimer",), "sensorimotor")
    assert job.methods == tuple(study.methods)
    assert job.learned == ("external",)
    assert study.compared == ("healthy", "alzheimer")
    said = "Compared: alzheimer against healthy, regions relative to sensorimotor."
    assert said in study.describe().splitlines()


def test_without_the_section_nothing_is_compared(raw) -> None:
    del raw["cohorts"]
    study = loaded(raw)
    assert study.compared == ()
    with pytest.raises(ValueError, match="no section cohorts"):
        job_of(study, "cohorts")


def test_the_same_heads_may_be_in_both(raw) -> None:
    raw["domains"]["alzheimer"]["splits"] = raw["domains"]["healthy"]["splits"]
    loaded(raw)


def test_the_studys_own_phantoms_may_be_the_healthy(raw) -> None:
    raw["cohorts"]["healthy"] = "phantom"
    raw["phantoms"]["regions"] = {}
    raw["domains"]["alzheimer"]["doses"] = raw["doses"]
    assert loaded(raw).compared == ("phantom", "alzheimer")


def other(raw, section, **values):
    """The settings of the diseased that differ."""
    own = raw["domains"]["alzheimer"]
    own[section] = {**copy.deepcopy(own.get(section, {})), **values}


def share_a_head(raw):
    other(raw, "splits", test=["52", "54"])


def another_dose(raw):
    other(raw, "doses")
    raw["domains"]["alzheimer"]["doses"]["low"]["x20"]["psf_fwhm_mm"] = 5.0


def another_level(raw):
    other(raw, "doses")
    levels = raw["domains"]["alzheimer"]["doses"]["low"]
    levels["x100"] = levels.pop("x20")


def name_twice(raw):
    raw["cohorts"]["diseased"] = ["alzheimer", "healthy"]


def name_none(raw):
    raw["cohorts"]["diseased"] = []


def name_nothing(raw):
    raw["cohorts"]["diseased"] = ["alzheimers"]


def number_no_regions(raw):
    raw["domains"]["healthy"].pop("regions")


def take_phantoms_without_regions(raw):
    raw["cohorts"]["healthy"] = "phantom"


def refer_to_nothing(raw):
    raw["cohorts"]["reference"] = "pons"


DIFFERS = r"cohorts: domains\.alzheimer\.{} differs from domains\.healthy\.{}"


@pytest.mark.parametrize(
    ("edit", "message"),
    [
        (
            name_nothing,
            r"cohorts: 'alzheimers' is none; there are the simulated data sets phantom, heal",
        ),
        (number_no_regions, r"cohorts: 'healthy' numbers no regions; give it domains\.healthy\.regions"),
        (take_phantoms_without_regions, r"'phantom' numbers no regions; give it phantoms\.regions"),
        (refer_to_nothing, r"reference: no region 'pons'; there are .*, sensorimotor, head"),
        (name_twice, r"cohorts: the data set 'healthy' is named twice"),
        (name_none, r"cohorts\.diseased: .* at least 1"),
        (another_dose, DIFFERS.format("doses", "doses")),
        (another_level, DIFFERS.format("doses", "doses")),
        (lambda raw: other(raw, "slices", indices=[60]), DIFFERS.format("slices", "slices")),
        (
            lambda raw: other(raw, "acquisition", scatter_fraction=0.3),
            DIFFERS.format("acquisition", "acquisition"),
        ),
        (
            share_a_head,
            r"cohorts: domains\.alzheimer\.splits\.test and .* share the heads 52, but not all",
        ),
    ],
)
def test_what_cannot_be_compared_is_refused(raw, edit, message) -> None:
    edit(raw)
    with pytest.raises(InputError, match=message):
        loaded(raw)


def test_scans_are_refused(repository) -> None:
    raw = read_yaml(repository / "config.yaml")
    raw["cohorts"] = {"healthy": "phantom", "diseased": ["ood1"]}
    raw["phantoms"]["regions"] = {}
    with pytest.raises(InputError, match="cohorts: 'ood1' has scans, whose regions nobody numbered"):
        loaded(raw)
