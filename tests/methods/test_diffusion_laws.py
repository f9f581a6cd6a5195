"""Laws of schedules, walks and parametrisations, for any number of steps."""

from __future__ import annotations

import math
from itertools import pairwise
from typing import get_args

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from quietpet.diffusion.samplers import SAMPLERS
from quietpet.diffusion.schedule import SCHEDULES, Level
from quietpet.diffusion.walk import Spacing, plan_walk
from quietpet.methods.blocks.parametrisation import PARAMETRISATIONS

TIMESTEPS = st.integers(2, 1200)
SCHEDULE_NAMES, SPACINGS = st.sampled_from(sorted(SCHEDULES)), st.sampled_from(get_args(Spacing))


@given(SCHEDULE_NAMES, TIMESTEPS)
def test_a_schedule_goes_from_data_to_noise(name, timesteps):
    schedule = SCHEDULES[name](timesteps)
    assert (schedule.timesteps, schedule.alpha_bar[0]) == (timesteps, 1.0)
    assert (np.diff(schedule.alpha_bar) < 0).all()
    assert (schedule.alpha_bar > 0).all()
    assert 1 <= schedule.start <= timesteps
    for time in (0, 1, schedule.start, timesteps):
        level = schedule.level(time)
        assert level.signal**2 + level.spread**2 == pytest.approx(1)


@given(SCHEDULE_NAMES, TIMESTEPS, SPACINGS, st.data())
def test_a_walk_falls_from_start_to_data_in_as_many_strides_as_wanted(name, timesteps, spacing, data):
    schedule = SCHEDULES[name](timesteps)
    steps = data.draw(st.integers(1, schedule.start), label="steps")
    walk = plan_walk(schedule, steps=steps, spacing=spacing)
    assert (walk.times[0], walk.times[-1]) == (schedule.start, 0)
    assert all(start > end for start, end in pairwise(walk.times))
    assert len(walk.strides) == steps
    gains = [stride.rise for stride in walk.strides]
    assert all(gain > 0 for gain in gains)
    assert [math.isinf(gain) for gain in gains] == [False] * (steps - 1) + [True]
    assert sum(gains[:-1]) == pytest.approx(
        schedule.log_snr[walk.times[-2]] - schedule.log_snr[schedule.start], abs=1e-9
    )


@given(SCHEDULE_NAMES, TIMESTEPS, SPACINGS)
def test_with_as_many_strides_as_times_all_are_visited(name, timesteps, spacing):
    schedule = SCHEDULES[name](timesteps)
    walk = plan_walk(schedule, steps=schedule.start, spacing=spacing)
    assert walk.times == tuple(range(schedule.start, -1, -1))


@given(st.sampled_from(sorted(SAMPLERS)), st.integers(1, 400))
def test_the_most_strides_that_can_be_afforded(sampler, evaluations):
    steps = SAMPLERS[sampler].steps_within(evaluations)
    assert SAMPLERS[sampler].network_evaluations(steps) <= evaluations
    assert SAMPLERS[sampler].network_evaluations(steps + 1) > evaluations


@given(st.sampled_from(sorted(PARAMETRISATIONS)), st.floats(0.01, 0.99), st.integers(0, 99))
def test_a_perfect_prediction_gives_the_clean_image_back(name, alpha_bar, seed):
    """Noise, x_0 and v are three names of one thing, at any level."""
    level = Level(signal=alpha_bar**0.5, spread=(1 - alpha_bar) ** 0.5)
    clean, noise = torch.randn(
        2, 1, 1, 3, 3, generator=torch.Generator().manual_seed(seed), dtype=torch.float64
    )
    noisy = level.noisy(clean, noise)
    predicted = PARAMETRISATIONS[name].target(clean, noise, level)
    torch.testing.assert_close(PARAMETRISATIONS[name].clean(predicted, noisy, level), clean)
    torch.testing.assert_close(level.noise(noisy, clean), noise)
