"""Which samplers the planner compares."""

from __future__ import annotations

import pytest
from pydantic import TypeAdapter

from quietpet.config.method_kinds import AnyMethodSettings
from quietpet.config.planner import PlannerSettings
from quietpet.diffusion.samplers import SAMPLERS

MFDIFF = TypeAdapter(AnyMethodSettings).validate_python(
    {"kind": "mfdiff", "sampler": "ddim", "sampling_steps": 10, "samples_per_slice": 8}
)


@pytest.mark.parametrize(
    ("sampler", "evaluations", "steps"),
    [("ddpm", 20, 20), ("dpmpp_2m", 15, 15), ("heun", 1, 1), ("heun", 19, 10), ("heun", 20, 10)],
)
def test_strides_that_an_effort_buys(sampler, evaluations, steps):
    # Heun's runs the network twice per stride, but for the last: 2 n - 1.
    assert SAMPLERS[sampler].steps_within(evaluations) == steps


def test_the_reference_is_the_full_ancestral_walk_and_nothing_comes_twice():
    candidates = PlannerSettings(evaluations=(1, 20, 5000)).candidates(MFDIFF)
    assert (candidates[0].sampler, candidates[0].sampling_steps) == ("ddpm", 1000)
    assert len(set(candidates)) == len(candidates)
    assert max(each.sampling_steps for each in candidates) == 1000
    assert [each for each in candidates if each.sampler == "ddpm" and each.sampling_steps == 1000] == [
        each for each in candidates if each.sampler == "ddpm" and each.sampling_steps > 20
    ]


def test_candidates_differ_in_sampling_alone_and_stay_within_their_effort():
    planner = PlannerSettings(evaluations=(7, 20))
    for each in planner.candidates(MFDIFF)[1:]:
        assert each.for_training() == MFDIFF.for_training()
        assert each.samples_per_slice == 1
        assert each.network_evaluations in (7, 19, 20)


def test_short_schedules_limit_the_strides():
    short = MFDIFF.model_copy(update={"timesteps": 12, "sampling_steps": 5})
    candidates = PlannerSettings(evaluations=(50,)).candidates(short)
    assert {each.sampling_steps for each in candidates} == {12}
