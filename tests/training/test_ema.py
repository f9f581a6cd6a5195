from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from quietpet.config.networks import EmaSettings
from quietpet.training.ema import Average, power_exponent, share_of_newest

STEPS = 4000


def weights_of_steps(settings):
    """Share of every step in the average after the last."""
    shares = np.zeros(STEPS)
    for step in range(1, STEPS + 1):
        newest = share_of_newest(step, settings)
        shares *= 1 - newest
        shares[step - 1] += newest
    return shares


@pytest.mark.parametrize("width", [0.05, 0.1, 0.2])
def test_a_power_profile_has_the_width_asked_for(width):
    shares = weights_of_steps(EmaSettings(profile="power", relative_width=width))
    time = (np.arange(STEPS) + 0.5) / STEPS
    mean = np.sum(shares * time)
    assert np.sum(shares) == pytest.approx(1)
    assert np.sqrt(np.sum(shares * (time - mean) ** 2)) == pytest.approx(width, rel=2e-3)
    exponent = power_exponent(width)
    middle = shares[STEPS // 4 :: 500] / shares[-1]
    np.testing.assert_allclose(middle, time[STEPS // 4 :: 500] ** exponent, rtol=2e-2)


@pytest.mark.parametrize(("width", "gamma"), [(0.05, 16.97), (0.1, 6.94)])
def test_published_exponents(width, gamma):
    """Karras et al. 2024, section 3.1."""
    assert power_exponent(width) == pytest.approx(gamma, abs=5e-3)


def test_an_exponential_profile_decays_by_its_factor():
    shares = weights_of_steps(EmaSettings(profile="exponential", decay=0.99))
    assert np.sum(shares) == pytest.approx(1)
    np.testing.assert_allclose(shares[-900:-1] / shares[-899:], 0.99)


@pytest.mark.parametrize("profile", ["power", "exponential"])
def test_the_start_is_forgotten_at_the_first_step(profile):
    assert share_of_newest(1, EmaSettings(profile=profile)) == 1


def test_running_statistics_are_averaged_and_counters_copied():
    method = nn.BatchNorm1d(1)
    average = Average(method, EmaSettings(profile="exponential", decay=0.5))
    method.train()
    seen = []
    for step in range(1, 4):
        method(torch.full((4, 1), float(step)))
        seen.append(float(method.running_mean))
        average.update(step)
    start = [1 - share_of_newest(step, EmaSettings(profile="exponential", decay=0.5)) for step in (2, 3)]
    expected = start[1] * (start[0] * seen[0] + (1 - start[0]) * seen[1]) + (1 - start[1]) * seen[2]
    assert float(average.method.running_mean) == pytest.approx(expected)
    assert int(average.method.num_batches_tracked) == 3
    assert not any(parameter.requires_grad for parameter in average.method.parameters())
