"""File names of BIDS, by its own examples."""

from __future__ import annotations

import pytest

from quietpet.invivo.names import applies, has_entities, parsed, same_value


@pytest.mark.parametrize(
    ("stem", "entities"),
    [
        ("sub-01_task-rest_pet", {"sub": "01", "task": "rest"}),
        (
            "sub-01_ses-wk+8_trc-FDG+base_run-01_pet",
            {"sub": "01", "ses": "wk+8", "trc": "FDG+base", "run": "01"},
        ),
        ("pet", {}),
    ],
)
def test_names_by_the_rules(stem: str, entities: dict[str, str]) -> None:
    name = parsed(stem)
    assert (name.entities, name.suffix, name.odd) == (entities, stem.rpartition("_")[2], ())


@pytest.mark.parametrize(
    ("stem", "odd"),
    [
        ("sub-01_old_pet", ("old",)),
        ("sub-01_task-a b_pet", ("task-a b",)),
        ("sub-01_rec-ac_dyn_pet", ("dyn",)),
        ("sub-01_rec-ac-dyn_pet", ("rec-ac-dyn",)),
        ("sub-01_run-one_pet", ("run-one",)),
        ("sub-01_sub-02_pet", ("sub-02",)),
        ("sub-01_ses-_pet", ("ses-",)),
    ],
)
def test_what_is_against_the_rules_is_kept_apart(stem: str, odd: tuple[str, ...]) -> None:
    assert parsed(stem).odd == odd


@pytest.mark.parametrize(
    ("sidecar", "image", "does"),
    [
        ("pet", "sub-1_trc-FDG_pet", True),
        ("sub-1_pet", "sub-1_ses-2_pet", True),
        # BIDS 1.11, objects.formats.label: partly equal labels are not related.
        ("acq-6p_T2w", "sub-1_acq-6p+s2_T2w", False),
        ("trc-FDG_pet", "sub-1_trc-FDG+drug_pet", False),
        ("trc-FDG+drug_pet", "sub-1_trc-FDG+base_pet", False),
        ("trc-FDG+drug_pet", "sub-1_trc-FDG+drug_pet", True),
        ("sub-1_ses-2_pet", "sub-1_pet", False),
        ("sub-1_old_pet", "sub-1_pet", False),
        ("sub-1_old_pet", "sub-1_old_pet", True),
        ("sub-1_old_pet", "sub-1_run-1_old_pet", False),
        ("sub-1_blood", "sub-1_pet", False),
    ],
)
def test_which_side_cars_apply(sidecar: str, image: str, does: bool) -> None:
    assert applies(parsed(sidecar), parsed(image)) == does


def test_indices_are_numbers_and_labels_are_letters() -> None:
    assert same_value("run", "1", "001")
    assert not same_value("run", "1", "10")
    assert not same_value("ses", "1", "01")
    assert has_entities({"ses": "wk+0", "run": "02"}, {"run": "2"})
    assert not has_entities({"ses": "wk+0"}, {"ses": "wk"})
    assert not has_entities({"ses": "wk+0"}, {"run": "1"})
    assert has_entities({"ses": "wk+0"}, {"run": ""})
    assert not has_entities({"ses": "wk+0"}, {"ses": ""})
