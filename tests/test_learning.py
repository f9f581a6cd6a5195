"""Trainings are named by what they depend on."""

from __future__ import annotations

import pytest

from quietpet.config.networks import TrainingSettings
from quietpet.learning import (
    LearningSettings,
    Training,
    last_training,
    training_before,
    training_data,
)

LEARNING = LearningSettings.model_validate(
    {
        "stages": {
            "external": {"data": ["phantom/low"]},
            "internal": {"data": ["own"], "iterations": 20},
            "short": {"data": ["phantom/low"], "iterations": 5},
            "plain": {"data": ["own"]},
            "mixed": {"data": ["phantom/low", "own"]},
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
    ],
)
def test_data_of_a_training(stages, data):
    assert training_data(LEARNING, named(*stages)) == tuple(data)


def test_a_stage_changes_what_it_names():
    common = TrainingSettings(iterations=50, learning_rate=1e-3, batch_size=2)
    assert LEARNING.stages["internal"].training(common) == TrainingSettings(
        iterations=20, learning_rate=1e-3, batch_size=2
    )
    assert LEARNING.stages["external"].training(common) == common
