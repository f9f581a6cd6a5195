"""A method's own published optimiser settings replace the common ones, and nothing else."""

from __future__ import annotations

import pytest
from pydantic import TypeAdapter

from quietpet.config.method_kinds import AnyMethodSettings, method_kinds
from quietpet.config.methods import MethodSettings, require_batch
from quietpet.config.networks import EmaSettings, OptimiserSettings, TrainingSettings
from quietpet.config.published import PublishedTraining

PUBLISHED = PublishedTraining(
    source="Wang et al. 2019, section IV-B",
    optimiser=OptimiserSettings(kind="adam", betas=(0.5, 0.999), weight_decay=0.0),
    learning_rate=2e-4,
    batch_size=1,
    schedule="linear",
    constant_share=0.5,
)
COMMON = TrainingSettings(
    iterations=300,
    batch_size=4,
    learning_rate=1e-3,
    schedule="cosine",
    warmup_iterations=30,
    patch_pixels=32,
    whole_share=0.5,
    flip=True,
    gradient_clip=1.0,
    ema=EmaSettings(profile="power"),
)


class Toy(MethodSettings):
    kind: str = "toy"

    @property
    def published_training(self):
        return PUBLISHED

    @property
    def least_batch(self):
        return 2

    def describe(self):
        return "toy"


def test_published_settings_replace_those_of_the_optimiser_alone():
    own = Toy(optimiser="published").own_training
    assert own.applied_to(COMMON) == COMMON.model_copy(
        update={
            "optimiser": PUBLISHED.optimiser,
            "learning_rate": 2e-4,
            "batch_size": 1,
            "schedule": "linear",
            "constant_share": 0.5,
            "warmup_iterations": 0,
            "gradient_clip": None,
            "ema": EmaSettings(),
        }
    )
    assert Toy().own_training is None


def test_a_publication_without_a_batch_size_leaves_the_common_one():
    unsaid = PUBLISHED.model_copy(update={"batch_size": None})
    assert unsaid.applied_to(COMMON).batch_size == 4


def test_what_is_published_in_words():
    assert PUBLISHED.describe(COMMON) == (
        "optimiser settings of its own publication: Adam with betas 0.5 and 0.999, learning rate "
        "0.0002, falling linearly to zero after 50 % of the iterations, batches of 1 "
        "(Wang et al. 2019, section IV-B)"
    )


def test_a_batch_that_is_too_small_is_said_to_be_the_published_one():
    toy = Toy(optimiser="published")
    with pytest.raises(ValueError, match=r"its published batch_size = 1 must be 2 or more"):
        require_batch(toy, toy.own_training.batch_size, "methods.toy")


@pytest.mark.parametrize("kind", method_kinds())
def test_published_values_name_their_source_or_are_refused(kind):
    settings = TypeAdapter(AnyMethodSettings).validate_python({"kind": kind, "optimiser": "published"})
    if settings.published_training is None:
        with pytest.raises(ValueError, match=f"{kind!r} states no optimiser settings"):
            _ = settings.own_training
    else:
        own = settings.own_training.applied_to(COMMON)
        shared = {"iterations", "patch_pixels", "whole_share", "flip", "select_by", "validate_every"}
        assert own.model_dump(include=shared) == COMMON.model_dump(include=shared)
