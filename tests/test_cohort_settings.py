"""The section ``cohorts``: which data sets can be compared, found before any job runs."""

from __future__ import annotations

import copy

import pytest

from quietpet.config.regions import REGION_NAMES
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


def test_rows_have_the_order_of_the_doses(raw) -> None:
    """Not that of the alphabet, where x100 is before x20."""
    for domain in raw["domains"].values():
        level = {**domain["doses"]["low"]["x20"], "published": False}
        domain["doses"] = {**domain["doses"], "low": {"x20": level, "x100": level}}
    assert job_of(loaded(raw), "cohorts").settings == ("x20", "x100")


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
    leave_networks(raw)
    assert loaded(raw).compared == ("phantom", "alzheimer")


def test_template_heads_of_one_name_are_others_in_each_cohort(raw) -> None:
    raw["phantoms"]["source"] = "template"
    share_a_head(raw)
    assert loaded(raw).compared == ("healthy", "alzheimer")


def test_the_head_as_reference_needs_no_slice_of_its_own(raw) -> None:
    miss_the_reference(raw)
    raw["cohorts"]["reference"] = "head"
    assert loaded(raw).cohorts.reference == "head"


def leave_networks(raw):
    """Filters are tuned on the validation slices of each data set; networks of a regime are shared."""
    raw["methods"] = {name: raw["methods"][name] for name in ("lpet", "munet_concat")}


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


def other_regimes(raw):
    raw["learning"]["regimes"]["again"] = ["external"]
    raw["domains"]["alzheimer"]["regimes"] = ["again"]


def fewer_regimes(raw):
    raw["learning"]["regimes"]["again"] = ["external"]
    raw["domains"]["alzheimer"]["regimes"] = ["external"]


def more_replicates(raw):
    raw["domains"]["alzheimer"]["replicates"] = 1


def take_phantoms(raw):
    """Filters are tuned on each data set: `external` on the phantoms, `internal` on domains."""
    raw["cohorts"]["healthy"] = "phantom"
    raw["phantoms"]["regions"] = {}
    raw["domains"]["alzheimer"]["doses"] = raw["doses"]


def take_phantoms_that_learned_otherwise(raw):
    raw["cohorts"]["healthy"] = "phantom"
    raw["phantoms"]["regions"] = {}
    raw["domains"]["alzheimer"]["doses"] = raw["doses"]
    leave_networks(raw)
    raw["learning"]["regimes"] = {"healthy": ["external"]}


def miss_the_reference(raw):
    for domain in raw["domains"].values():
        domain["slices"] = {"indices": [65, 69]}


def graze_the_reference(raw):
    """Slice 73 lies 0.97 of the semi-axis below the centre, 84 0.89 above."""
    for domain in raw["domains"].values():
        domain["slices"] = {"indices": [65, 73, 84]}


def make_the_healthy_ill(raw):
    raw["domains"]["healthy"]["regions"] = {"disease": {}}


def make_the_ill_healthy(raw):
    raw["domains"]["alzheimer"]["regions"] = {}


def mild_to_nothing(raw):
    raw["domains"]["alzheimer"]["regions"]["disease"] = {"severity": 0}


def take_nothing(raw):
    nothing = dict.fromkeys(REGION_NAMES, 0)
    raw["domains"]["alzheimer"]["regions"]["disease"] = {"reductions": nothing}


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
        (lambda raw: other(raw, "slices", indices=[78]), DIFFERS.format("slices", "slices")),
        (
            lambda raw: other(raw, "acquisition", scatter_fraction=0.3),
            DIFFERS.format("acquisition", "acquisition"),
        ),
        (lambda raw: other(raw, "lesions", count=3), DIFFERS.format("lesions", "lesions")),
        (
            lambda raw: other(raw, "activity", **{**raw["phantoms"]["activity"], "grey_matter": 80}),
            DIFFERS.format("activity", "activity"),
        ),
        (
            lambda raw: other(raw, "t1", **{**raw["phantoms"]["t1"], "csf": 40}),
            DIFFERS.format("t1", "t1"),
        ),
        (
            lambda raw: other(raw, "regions", variation=0.1),
            DIFFERS.format(r"regions\.variation", r"regions\.variation"),
        ),
        (other_regimes, DIFFERS.format("regimes", "regimes") + r": cncl restores only \w+/x20 having "),
        (
            fewer_regimes,
            DIFFERS.format("regimes", "regimes") + r": cncl restores only healthy/x20 having .* 'again",
        ),
        (more_replicates, DIFFERS.format("replicates", "replicates")),
        (
            take_phantoms,
            r"alzheimer\.regimes differs from 'phantom', .*: bowsher restores only .* 'external'",
        ),
        (
            take_phantoms_that_learned_otherwise,
            r"alzheimer\.regimes differs from 'phantom', where methods learn on it alone: munet_concat",
        ),
        (
            miss_the_reference,
            r"domains\.healthy\.slices\.indices = \[65, 69\]: no slice passes through the middle of "
            r"sensorimotor, .*; add 79, or choose another cohorts\.reference",
        ),
        (graze_the_reference, r"healthy\.slices\.indices = \[65, 73, 84\]: no slice passes"),
        (make_the_healthy_ill, r"healthy: 'healthy' has domains\.healthy\.regions\.disease; name a"),
        (make_the_ill_healthy, r"'alzheimer' has no domains\.alzheimer\.regions\.disease; write one"),
        (mild_to_nothing, r"domains\.alzheimer\.regions\.disease\.severity = 0 is health"),
        (take_nothing, r"domains\.alzheimer\.regions\.disease\.reductions are all 0"),
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
