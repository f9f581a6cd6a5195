"""What a study says of T1: methods with and without it."""

from __future__ import annotations

import pytest

from quietpet.errors import InputError
from quietpet.study.reading import load_study, read_yaml
from quietpet.study.select import job_of


@pytest.fixture
def raw(repository):
    return read_yaml(repository / "config.yaml")


def test_a_variant_without_t1_is_equal_to_its_method_in_all_but_the_inputs(raw):
    raw["methods"] |= {
        "munet_pet": {"kind": "munet", **raw["methods"]["munet"], "inputs": ["low"]},
        "unet": {**raw["methods"]["unet"], "pet_only_of": "munet_concat"},
    }
    raw["methods"]["munet_pet"]["pet_only_of"] = "munet"
    study = load_study(raw, origin="")
    assert study.methods["munet_pet"].t1_use == "none"


def test_which_method_a_variant_is_of_trains_nothing_again(raw):
    names = {"dataset": "phantom", "setting": "low", "method": "unet", "replicate": "r0"}
    before = load_study(raw, origin="")
    raw["methods"]["unet"]["pet_only_of"] = "munet_concat"
    after = load_study(raw, origin="")
    for step in ("fit", "restore"):
        assert job_of(after, step, **names) == job_of(before, step, **names)


LOW = {"kind": "unet", "inputs": ["low"]}
MUNET = {"kind": "munet", "channels": [16, 32, 64], "pet_only_of": "munet"}


@pytest.mark.parametrize(
    ("extra", "said"),
    [
        (
            {**MUNET, "inputs": ["low"], "channels": [8]},
            r"a variant is equal to its method in all but the inputs, but channels is \[8\] and should "
            r"be \[16, 32, 64\]; give both the same",
        ),
        (MUNET, r"inputs is \['low', 't1'\] and should be \['low'\]"),
        (
            {**MUNET, "inputs": ["low"], "optimiser": "published"},
            "optimiser is 'published' and should be 'common'",
        ),
        ({"kind": "nlm", "pet_only_of": "nlm_t1"}, "search_pixels is 7 and should be 5"),
        ({**LOW, "pet_only_of": "munet"}, "kind is 'unet' and should be 'munet'"),
        (
            {**LOW, "pet_only_of": "hinet"},
            r"of that method there is none \(refused: it fuses the features of two encoders",
        ),
        ({**LOW, "pet_only_of": "bowsher"}, "the neighbours that T1 chooses"),
        ({**LOW, "pet_only_of": "unet"}, "never looks at T1 itself; name one that does"),
        ({**LOW, "pet_only_of": "extra"}, "never looks at T1 itself; name one that does"),
        ({**LOW, "pet_only_of": "nobody"}, "no such method; there are lpet, "),
    ],
)
def test_what_is_no_variant_is_refused(raw, extra, said):
    raw["methods"]["extra"] = extra
    with pytest.raises(InputError, match=rf"methods\.extra\.pet_only_of = .*{said}"):
        load_study(raw, origin="")


def test_the_tables_know_every_method_that_uses_t1_and_its_variants(raw):
    raw["methods"]["unet"]["pet_only_of"] = "munet_concat"
    found = {each.method: each for each in job_of(load_study(raw, origin=""), "tables").without_t1}
    assert not set(found) & {"lpet", "gaussian", "nlm", "unet"}
    assert (found["munet_concat"].variant, found["munet_concat"].how) == ("unet", "trained on PET alone")
    assert (found["munet"].variant, found["munet"].how) == (
        None,
        "trained on PET alone: not in this study",
    )
    assert found["bowsher"].how == "refused: its prior is the neighbours that T1 chooses"


def if_there(raw, *, source: str = "dacra"):
    raw["invivo"]["sources"][source]["t1_presence"] = "if_there"
    return raw["invivo"]["datasets"]


NEEDING = ["nlm_t1", "munet_concat", "munet", "eagan", "hinet", "cncl", "csrd", "nafnet", "mfdiff"]


def test_methods_that_need_t1_are_refused_for_scans_that_may_lack_it(raw):
    datasets = if_there(raw)
    said = (
        r"invivo\.sources\.dacra\.t1_presence = if_there: scans of invivo\.datasets\.ood3 may lack T1, "
        r"which methods\.nlm_t1, methods\.munet_concat, .* methods\.mfdiff need; add to "
        r"invivo\.datasets\.ood3\.without, or set required"
    )
    with pytest.raises(InputError, match=said):
        load_study(raw, origin="")
    datasets["ood3"]["without"] = NEEDING[:-1]
    with pytest.raises(InputError, match=r"which methods\.mfdiff needs; add to"):
        load_study(raw, origin="")
    datasets["ood3"]["without"] = NEEDING
    study = load_study(raw, origin="")
    assert set(study.scanned["ood3"].methods) == {"lpet", "gaussian", "nlm", "m2diff", "m2diff_nomri"}
    assert "mfdiff" in study.scanned["ood1"].methods


def test_no_transforms_are_given_for_scans_that_may_lack_t1(raw):
    if_there(raw)["ood3"]["without"] = NEEDING
    raw["registration"] = {"engine": "file", "transform": "{source}/{participant}.tfm"}
    said = (
        r"invivo\.sources\.dacra\.t1_presence = if_there, with registration\.engine = file: "
        r"a scan without T1 has no transform, and each must be given one; set required, or choose "
        "another engine"
    )
    with pytest.raises(InputError, match=said):
        load_study(raw, origin="")
    raw["invivo"]["sources"]["dacra"]["t1_presence"] = "required"
    assert load_study(raw, origin="").registration.engine == "file"


def test_nor_do_they_learn_from_such_scans_to_restore_others(raw):
    if_there(raw)["ood3"]["without"] = NEEDING
    del raw["methods"]["fbsem"]  # which learns from no scans at all
    raw["learning"]["stages"]["mixed"]["data"] = ["phantom/low", "ood3/bolus"]
    said = (
        r"learning\.stages\.mixed: under the regime 'mixed' methods\.munet_concat would learn from "
        r"ood3/bolus, whose scans may lack the T1 that it needs \(invivo\.sources\.dacra\.t1_presence = "
        r"if_there\); leave one of the three out"
    )
    with pytest.raises(InputError, match=said):
        load_study(raw, origin="")


def test_a_method_left_out_of_a_data_set_must_be_one(raw):
    raw["invivo"]["datasets"]["ood1"]["without"] = ["nobody"]
    with pytest.raises(InputError, match=r"invivo\.datasets\.ood1\.without: no method 'nobody'"):
        load_study(raw, origin="")


def test_scans_without_t1_are_refused_unless_asked_for(raw):
    study = load_study(raw, origin="")
    assert {each.t1_presence for each in study.in_vivo.sources.values()} == {"required"}
    assert not any(dataset.may_lack_t1 for dataset in study.scanned.values())
