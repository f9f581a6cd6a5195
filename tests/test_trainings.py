"""Trainings are named by what they depend on."""

from __future__ import annotations

from itertools import permutations, product

import pytest

from quietpet.config.datasets import SPLITS
from quietpet.config.learning import LearningSettings
from quietpet.config.networks import TrainingSettings
from quietpet.study.reading import load_study, read_yaml
from quietpet.study.select import job_of
from quietpet.study.trainings import Training, last_training, training_before, training_data

LEARNING = LearningSettings.model_validate(
    {
        "stages": {
            "external": {"data": ["phantom/low"]},
            "internal": {"data": ["own"], "iterations": 20},
            "short": {"data": ["phantom/low"], "iterations": 5},
            "plain": {"data": ["own"]},
            "mixed": {"data": ["phantom/low", "own"]},
            "same_dose": {"data": ["phantom/own"]},
            "both": {"data": ["phantom/own", "own"]},
            "twice": {"data": ["phantom/x20", "phantom/own"]},
            "all": {"data": ["phantom/x20", "ood1/x20", "own"], "iterations": 7},
        },
        "regimes": {"external": ["external"]},
    }
)


def named(*stages, dataset="ood1", setting="16s"):
    return last_training(LEARNING, stages, dataset=dataset, setting=setting)


def test_a_stage_that_does_not_see_the_target_is_one_training_for_all():
    assert named("external") == Training(dataset="phantom", setting="low")
    assert named("external") == named("external", dataset="ood2", setting="ld")
    assert named("short") == Training(dataset="phantom", setting="low", stages=("short",))


def test_a_stage_on_the_target_with_common_settings_is_the_plain_training():
    assert named("plain") == Training(dataset="ood1", setting="16s")
    assert named("internal") == Training(dataset="ood1", setting="16s", stages=("internal",))


def test_a_stage_at_the_dose_to_be_restored_is_one_training_for_all_data_sets():
    """That of the named data set itself, where nothing else changes."""
    x20 = named("same_dose", dataset="alzheimer", setting="x20")
    assert x20 == named("same_dose", dataset="healthy", setting="x20")
    assert x20 == Training(dataset="phantom", setting="x20")
    assert named("same_dose", setting="x100") == Training(dataset="phantom", setting="x100")
    later = named("same_dose", "external", dataset="alzheimer", setting="x20")
    assert later == Training(dataset="phantom", setting="x20", stages=("same_dose", "external"))
    assert training_before(LEARNING, later) == x20
    assert named("same_dose", "internal", setting="x20").dataset == "ood1"


def test_regimes_that_begin_alike_share_their_beginning():
    two, three = named("external", "internal"), named("external", "internal", "mixed")
    assert two == Training(dataset="ood1", setting="16s", stages=("external", "internal"))
    assert training_before(LEARNING, three) == two
    assert training_before(LEARNING, two) == named("external")
    assert training_before(LEARNING, named("external")) is None
    assert training_before(LEARNING, named("mixed")) is None


@pytest.mark.parametrize(
    ("stages", "data"),
    [
        (("external",), [("phantom", "low")]),
        (("external", "internal"), [("ood1", "16s")]),
        (("mixed",), [("phantom", "low"), ("ood1", "16s")]),
        (("same_dose",), [("phantom", "16s")]),
        (("same_dose", "both"), [("phantom", "16s"), ("ood1", "16s")]),
        (("same_dose", "short"), [("phantom", "low")]),
    ],
)
def test_data_of_a_training(stages, data):
    assert training_data(LEARNING, named(*stages)) == tuple(data)


@pytest.mark.parametrize(
    ("stage", "setting", "data"),
    [
        ("twice", "x20", [("phantom", "x20")]),
        ("twice", "x100", [("phantom", "x20"), ("phantom", "x100")]),
        ("all", "x20", [("phantom", "x20"), ("ood1", "x20")]),
    ],
)
def test_data_that_a_stage_names_in_two_ways_is_learned_from_once(stage, setting, data):
    assert training_data(LEARNING, named(stage, setting=setting)) == tuple(data)


def test_a_stage_that_names_one_data_set_in_two_ways_is_the_plain_training():
    assert named("twice", setting="x20") == Training(dataset="phantom", setting="x20")
    assert named("twice", setting="x100").stages == ("twice",)


def test_a_stage_changes_what_it_names():
    common = TrainingSettings(iterations=50, learning_rate=1e-3, batch_size=2)
    assert LEARNING.stages["internal"].training(common) == TrainingSettings(
        iterations=20, learning_rate=1e-3, batch_size=2
    )
    assert LEARNING.stages["external"].training(common) == common


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({}, "50000 iterations of AdamW (peak learning rate 0.0001) on batches of 4 whole slices"),
        (
            {"warmup_iterations": 5000},
            "50000 iterations of AdamW (peak learning rate 0.0001, after 5000 of linear warm-up) on "
            "batches of 4 whole slices",
        ),
        (
            {"iterations": 500, "schedule": "cosine", "patch_pixels": 64, "whole_share": 0.3},
            "500 iterations of AdamW (peak learning rate 0.0001, falling as a cosine) on batches of 4 "
            "patches of 64 x 64 pixels; networks whose pixels depend on the field of view see whole "
            "heads in the last 30 % of them, in batches of as many pixels",
        ),
        (
            {
                "optimiser": {"kind": "adam", "betas": [0.5, 0.999], "weight_decay": 1e-4},
                "schedule": "linear",
                "constant_share": 0.6,
            },
            "50000 iterations of Adam with betas 0.5 and 0.999 and weight decay 0.0001 (peak learning "
            "rate 0.0001, falling linearly to zero after 60 % of the iterations) on batches of 4 whole "
            "slices",
        ),
    ],
)
def test_a_budget_in_words(changes, words):
    assert TrainingSettings(**changes).describe() == words


def _study(repository, name, change=lambda raw: None):
    raw = read_yaml(repository / name)
    change(raw)
    return load_study(raw, origin=name)


def _seen(study, dataset, setting):
    """What training on a setting sees, as the jobs that pack its slices tell it."""
    jobs = [
        job_of(study, "pack_scans", dataset=dataset, setting=setting, split=split).model_dump()
        for split in SPLITS
        if split != "test"
    ]
    return [{name: job[name] for name in job.keys() - {"dataset", "setting"}} for job in jobs]


@pytest.mark.parametrize("name", ["config.yaml", "workflow/configs/invivo.yaml"])
@pytest.mark.parametrize("regime", ["", "internal", "external_internal"])
def test_settings_share_a_training_if_and_only_if_it_sees_the_same_slices(repository, name, regime):
    study = _study(repository, name)
    settings = [(name, setting) for name, each in study.scanned.items() for setting in each.settings]
    for first, second in product(settings, settings):
        trainings = [
            study.weights_for(dataset=dataset, setting=setting, regime=regime)
            for dataset, setting in (first, second)
        ]
        assert (trainings[0] == trainings[1]) == (_seen(study, *first) == _seen(study, *second))


def test_the_small_study_trains_three_networks_for_seven_in_vivo_settings(repository):
    study = _study(repository, "config.yaml")
    both = {
        study.weights_for(dataset=dataset, setting=setting, regime="external_internal")
        for dataset, each in study.scanned.items()
        for setting in each.settings
    }
    assert both == {
        Training(dataset=dataset, setting=setting, stages=("external", "internal"))
        for dataset, setting in (("ood1", "2min"), ("ood1", "16s"), ("ood3", "bolus"))
    }
    job = job_of(
        study,
        "restore",
        dataset="ood2",
        setting="uld",
        method="mfdiff",
        replicate="r0",
        regime="external_internal",
    )
    assert job.weights_of == "ood1"


@pytest.mark.parametrize(
    ("key", "value", "trained_as"),
    [
        ("splits", {"train": ["01"], "validation": ["03"], "test": ["06"]}, ("ood2", "uld")),
        ("splits", {"train": ["02", "01"], "validation": ["03"], "test": ["06"]}, ("ood2", "uld")),
        ("splits", {"train": ["01", "02"], "validation": ["03"], "test": ["05"]}, ("ood1", "16s")),
        ("window", "2min", ("ood1", "2min")),
    ],
)
def test_what_trainings_see_of_a_setting_names_them(repository, key, value, trained_as):
    def change(raw):
        raw["invivo"]["datasets"]["ood2"]["settings"]["uld"][key] = value

    study = _study(repository, "config.yaml", change)
    weights = study.weights_for(dataset="ood2", setting="uld", regime="external_internal")
    assert (weights.dataset, weights.setting) == trained_as


def test_a_stage_before_on_data_that_another_setting_has_too_is_shared(repository):
    def change(raw):
        raw["learning"]["stages"]["external"]["data"] = ["ood2/ld"]
        del raw["domains"]  # which fbsem would restore after scans without sinograms

    study = _study(repository, "config.yaml", change)
    last = study.weights_for(dataset="ood3", setting="infusion", regime="external_internal")
    assert (last.dataset, last.setting) == ("ood3", "bolus")
    assert study.training_before(last) == Training(dataset="ood1", setting="16s")
    assert study.iterations_of(
        dataset="ood3", setting="infusion", method="mfdiff", regime="external_internal"
    ) == (
        study.training.iterations,
        study.learning.stages["internal"].iterations,
    )


_SIZES = {"kind": "m2diff", "channels": 8, "norm_groups": 4}
_ALIKE = {
    "m2diff": _SIZES,
    "m2diff_nomri": {**_SIZES, "t1": "none", "pet_only_of": "m2diff"},
    "m2diff_ddim": {**_SIZES, "sampler": "ddim", "sampling_steps": 3},
    "m2diff_unnamed": {**_SIZES, "t1": "none"},
}
"""Settings that are equal in all that matters for training."""


def _with_methods(repository, methods):
    raw = read_yaml(repository / "workflow/configs/tiny.yaml")
    raw["methods"] = {name: dict(each) for name, each in methods.items()}
    return load_study(raw, origin="tiny.yaml")


def test_a_variant_that_is_the_same_trained_network_shares_its_training_and_no_other_method_does(
    repository,
):
    study = _with_methods(
        repository,
        {
            **_ALIKE,
            "unet": {"inputs": ["low"], "pet_only_of": "munet_concat"},
            "munet_concat": {"kind": "unet", "inputs": ["low", "t1"]},
        },
    )
    trained = {name: study.trained_as(name) for name in study.methods}
    assert trained == {name: name for name in study.methods} | {"m2diff_nomri": "m2diff"}
    words = job_of(study, "tables").methods
    assert words["m2diff_nomri"].endswith("restored without T1; restores with the weights of m2diff")
    assert all("weights of" not in words[name] for name in words if name != "m2diff_nomri")


def test_the_order_of_methods_changes_no_job(repository):
    """Neither which training is shared nor what seeds it or its samples."""
    found = []
    for names in permutations(_ALIKE):
        study = _with_methods(repository, {name: _ALIKE[name] for name in names})
        at = {"dataset": "phantom", "setting": "low", "replicate": "r0"}
        jobs = {
            (step, name): job_of(study, step, **at, method=name).model_dump()
            for step, name in product(("fit", "restore"), _ALIKE)
        }
        found.append((jobs, {name: study.trained_as(name) for name in _ALIKE}))
    assert all(each == found[0] for each in found)
    assert found[0][0]["restore", "m2diff_nomri"]["trained_as"] == "m2diff"
