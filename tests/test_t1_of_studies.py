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
