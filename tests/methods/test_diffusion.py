"""Samplers against data whose exact denoiser is known: x_0 ~ N(m, s^2), pixel by pixel."""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np
import pytest
import torch

from quietpet.methods.diffusion.process import (
    clean_from_noise,
    diffuse,
    draw_noise,
    draw_times,
)
from quietpet.methods.diffusion.samplers import SAMPLERS, sample_ddim, sample_ddpm
from quietpet.methods.diffusion.schedule import linear_schedule, sampling_times

SCHEDULE = linear_schedule(1000)
MEAN, STD = 0.7, 0.5
SHAPE = (4, 1, 128, 128)
PIXELS = math.prod(SHAPE)
CPU = torch.device("cpu")


def generators(count=SHAPE[0]):
    return [torch.Generator().manual_seed(seed) for seed in range(count)]


def exact_denoiser(noisy, time):
    """E[x_0 | x_t] of Gaussian data: the mean, corrected by the regression of x_0 on x_t."""
    alpha_bar = SCHEDULE.alpha_bar[time]
    gain = math.sqrt(alpha_bar) * STD**2 / (alpha_bar * STD**2 + 1 - alpha_bar)
    return MEAN + gain * (noisy - math.sqrt(alpha_bar) * MEAN)


def sample(name, steps, denoise=exact_denoiser, shape=SHAPE):
    return SAMPLERS[name](
        denoise,
        schedule=SCHEDULE,
        steps=steps,
        shape=shape,
        generators=generators(shape[0]),
        device=CPU,
    )


def exact_moments(name, steps):
    """Mean and standard deviation that a sampler must give: every stride is affine in a Gaussian."""
    mean, variance = 0.0, 1.0
    for time, target in sampling_times(1000, steps):
        a_t, a_s = SCHEDULE.alpha_bar[time], SCHEDULE.alpha_bar[target]
        gain = math.sqrt(a_t) * STD**2 / (a_t * STD**2 + 1 - a_t)
        offset = MEAN * (1 - gain * math.sqrt(a_t))
        if name == "ddim":
            of_noisy = math.sqrt((1 - a_s) / (1 - a_t))
            of_clean, added = math.sqrt(a_s) - math.sqrt(a_t) * of_noisy, 0.0
        else:  # precision-weighted product of q(x_t | x_s) and q(x_s | x_0), worked out by Bayes
            ratio = a_t / a_s
            added = 1 / (ratio / (1 - ratio) + 1 / (1 - a_s)) if target else 0.0
            of_noisy = added * math.sqrt(ratio) / (1 - ratio) if target else 0.0
            of_clean = added * math.sqrt(a_s) / (1 - a_s) if target else 1.0
        slope = of_noisy + of_clean * gain
        mean, variance = slope * mean + of_clean * offset, slope**2 * variance + added
    return mean, math.sqrt(variance)


@pytest.mark.parametrize(("name", "steps"), [("ddpm", 1000), ("ddpm", 250), ("ddpm", 50), ("ddim", 50)])
def test_samplers_have_exactly_the_moments_of_their_strides(name, steps):
    restored = sample(name, steps).double()
    mean, std = exact_moments(name, steps)
    assert float(restored.mean()) == pytest.approx(mean, abs=4 * std / math.sqrt(PIXELS))
    assert float(restored.std()) == pytest.approx(std, rel=4 / math.sqrt(2 * PIXELS))


@pytest.mark.parametrize(
    ("name", "steps", "tolerance"),
    # Few strides narrow the samples: the variance of q(x_s | x_t, x_0) leaves out the spread of x_0
    # around its estimate (Ho et al., section 3.2), and DDIM is a first-order integrator.
    [
        ("ddpm", 1000, 0.01),
        ("ddpm", 250, 0.04),
        ("ddpm", 50, 0.12),
        ("ddim", 1000, 0.01),
        ("ddim", 50, 0.06),
    ],
)
def test_samplers_reproduce_the_data(name, steps, tolerance):
    restored = sample(name, steps, shape=(2, 1, 128, 128))
    assert float(restored.mean()) == pytest.approx(MEAN, abs=0.02)
    assert float(restored.std()) == pytest.approx(STD, rel=tolerance)


@pytest.mark.parametrize("name", ["ddpm", "ddim"])
def test_samplers_converge_with_their_steps(name):
    errors = [abs(exact_moments(name, steps)[1] - STD) for steps in (10, 20, 40, 80, 160)]
    assert errors == sorted(errors, reverse=True)
    assert errors[-1] < errors[0] / 6  # 16 times the steps; the error falls almost as fast


def test_full_ddpm_is_equation_8():
    restored = sample("ddpm", 1000, shape=(1, 1, 16, 16))
    alpha_bar = SCHEDULE.alpha_bar
    generator = generators(1)
    noisy = draw_noise((1, 1, 16, 16), generator, CPU).double()
    for t in range(1000, 0, -1):
        alpha = alpha_bar[t] / alpha_bar[t - 1]
        noise = (noisy - math.sqrt(alpha_bar[t]) * exact_denoiser(noisy, t)) / math.sqrt(
            1 - alpha_bar[t]
        )
        noisy = (noisy - (1 - alpha) / math.sqrt(1 - alpha_bar[t]) * noise) / math.sqrt(alpha)
        if t > 1:
            sigma = math.sqrt((1 - alpha) * (1 - alpha_bar[t - 1]) / (1 - alpha_bar[t]))
            noisy = noisy + sigma * draw_noise((1, 1, 16, 16), generator, CPU).double()
    np.testing.assert_allclose(restored, noisy, atol=1e-4)


@pytest.mark.parametrize("sampler", [sample_ddpm, sample_ddim])
def test_batch_size_changes_no_sample(sampler):
    def run(chosen, count):
        return sampler(
            exact_denoiser, schedule=SCHEDULE, steps=20, shape=(count, 1, 8, 8), generators=chosen,
            device=CPU,
        )  # fmt: skip

    together = run(generators(4), 4)
    alone = [run([each], 1) for each in generators(4)]
    torch.testing.assert_close(together, torch.cat(alone))


def test_the_forward_process_has_the_law_of_equation_7():
    clean = torch.full((3, 1, 200, 200), 2.0)
    times = torch.tensor([1, 300, 1000])
    noisy = diffuse(clean, times, draw_noise(clean.shape, generators(3), CPU), SCHEDULE).double()
    betas = np.linspace(1e-4, 0.02, 1000)
    for image, time in zip(noisy, times.tolist(), strict=True):
        alpha_bar = math.exp(np.log1p(-betas[:time]).sum())
        assert float(image.mean()) == pytest.approx(2 * math.sqrt(alpha_bar), abs=0.02)
        assert float(image.std()) == pytest.approx(math.sqrt(1 - alpha_bar), rel=0.02)


def test_one_step_at_a_time_adds_up_to_equation_7():
    alpha_bar, variance = 1.0, 0.0
    for t in range(1, 1001):  # x_t = sqrt(1 - beta) x_{t-1} + sqrt(beta) epsilon, Eq. 6
        alpha = SCHEDULE.alpha_bar[t] / SCHEDULE.alpha_bar[t - 1]
        alpha_bar, variance = alpha_bar * alpha, variance * alpha + 1 - alpha
        assert variance == pytest.approx(1 - SCHEDULE.alpha_bar[t], rel=1e-9)
    assert 1 - SCHEDULE.alpha_bar[1] == pytest.approx(1e-4)
    assert 1 - SCHEDULE.alpha_bar[-1] / SCHEDULE.alpha_bar[-2] == pytest.approx(0.02)


def test_the_noise_gives_the_clean_image_back():
    clean, noise = (torch.randn(5, 1, 8, 8, generator=each) for each in generators(2))
    times = draw_times(5, SCHEDULE, torch.Generator().manual_seed(3))
    noisy = diffuse(clean, times, noise, SCHEDULE)
    torch.testing.assert_close(clean_from_noise(noisy, times, noise, SCHEDULE), clean, atol=1e-3, rtol=0)


def test_times_are_drawn_from_1_to_t():
    times = draw_times(20_000, linear_schedule(10), torch.Generator().manual_seed(0))
    np.testing.assert_allclose(torch.bincount(times).numpy() / 2000, [0] + [1] * 10, atol=0.1)


@pytest.mark.parametrize("steps", [1, 3, 10, 999, 1000])
def test_strides_run_from_t_to_0_without_a_gap(steps):
    strides = sampling_times(1000, steps)
    assert len(strides) == steps
    assert (strides[0][0], strides[-1][1]) == (1000, 0)
    assert all(before[1] == after[0] for before, after in pairwise(strides))
    assert all(time > target for time, target in strides)


@pytest.mark.parametrize("steps", [0, 1001])
def test_impossible_numbers_of_steps_are_refused(steps):
    with pytest.raises(ValueError, match="between 1 and the 1000 timesteps"):
        sampling_times(1000, steps)
