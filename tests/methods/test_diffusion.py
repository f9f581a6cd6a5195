"""The diffusion engine against data whose diffusion is known: x_0 ~ N(m, s^2), pixel by pixel."""

from __future__ import annotations

import math
from functools import partial
from itertools import pairwise
from typing import get_args

import numpy as np
import pytest
import torch
from gaussian_oracle import GaussianData, outcome

from quietpet.config.diffusion import DiffusionSettings
from quietpet.diffusion.samplers import SAMPLERS
from quietpet.diffusion.schedule import SCHEDULES, Schedule, cosine_schedule, linear_schedule
from quietpet.diffusion.walk import Spacing, Walk, plan_walk
from quietpet.methods.blocks.diffusion import Diffusion, draw_noise, draw_times, levels
from quietpet.methods.blocks.parametrisation import PARAMETRISATIONS

LINEAR, COSINE = linear_schedule(1000), cosine_schedule(1000)
NEARLY_CONTINUOUS = linear_schedule(100_000, beta_first=1e-6, beta_last=2e-4)
DATA = GaussianData(mean=0.7, std=0.5)
SPACINGS = get_args(Spacing)
CPU = torch.device("cpu")

every_sampler = pytest.mark.parametrize("sampler", SAMPLERS)
every_spacing = pytest.mark.parametrize("spacing", SPACINGS)
every_schedule = pytest.mark.parametrize("schedule", [LINEAR, COSINE], ids=["linear", "cosine"])
every_prediction = pytest.mark.parametrize("prediction", PARAMETRISATIONS)


def generators(count):
    return [torch.Generator().manual_seed(seed) for seed in range(count)]


def drawing(shape):
    return partial(draw_noise, shape, generators(shape[0]), CPU)


def walk(schedule=LINEAR, steps=20, spacing="uniform") -> Walk:
    return plan_walk(schedule, steps=steps, spacing=spacing)


# The data


def test_the_exact_denoiser_is_the_mean_of_x0_given_x_t():
    """By quadrature of Bayes' theorem, without the algebra of Gaussians."""
    clean = np.linspace(DATA.mean - 8 * DATA.std, DATA.mean + 8 * DATA.std, 20_001)
    prior = np.exp(-((clean - DATA.mean) ** 2) / (2 * DATA.std**2))
    for time in (50, 300, 1000):
        level = LINEAR.level(time)
        for noisy in (-0.5, 1.5):
            joint = prior * np.exp(-((noisy - level.signal * clean) ** 2) / (2 * level.spread**2))
            expected = (clean * joint).sum() / joint.sum()
            found = DATA.denoiser(LINEAR)(torch.tensor(noisy).double(), time)
            assert float(found) == pytest.approx(expected, rel=1e-9)


def test_the_exact_flow_solves_its_differential_equation():
    """dx / dtau = noise(x, tau) for x = x_t / signal, tau = spread / signal; by Runge-Kutta of scipy."""
    from scipy.integrate import solve_ivp

    level = LINEAR.level(LINEAR.start)
    for start in (-1.0, 2.0):
        solution = solve_ivp(
            lambda tau, x: tau * (x - DATA.mean) / (DATA.std**2 + tau**2),
            (level.spread / level.signal, 0),
            [start / level.signal],
            rtol=1e-10,
            atol=1e-10,
        )
        flow = DATA.flow(LINEAR)
        assert flow.offset + flow.slopes[0] * start == pytest.approx(solution.y[0, -1], rel=1e-6)


# Samplers


def ddpm_moments(walk: Walk, data: GaussianData):
    """Mean and standard deviation of ancestral samples, stride by stride.

    q(x_s | x_t, x_0) is the precision-weighted product of q(x_t | x_s) and q(x_s | x_0).
    """
    mean, variance = 0.0, 1.0
    for time, target in pairwise(walk.times):
        a_t, a_s = walk.schedule.alpha_bar[time], walk.schedule.alpha_bar[target]
        gain = math.sqrt(a_t) * data.std**2 / (a_t * data.std**2 + 1 - a_t)
        ratio, added, of_noisy, of_clean = a_t / a_s, 0.0, 0.0, 1.0
        if target:
            added = 1 / (ratio / (1 - ratio) + 1 / (1 - a_s))
            of_noisy = added * math.sqrt(ratio) / (1 - ratio)
            of_clean = added * math.sqrt(a_s) / (1 - a_s)
        slope = of_noisy + of_clean * gain
        mean = slope * mean + of_clean * data.mean * (1 - gain * math.sqrt(a_t))
        variance = slope**2 * variance + added
    return mean, math.sqrt(variance)


@every_schedule
@every_spacing
@pytest.mark.parametrize("steps", [1, 2, 7, 50, 996])
def test_ddpm_has_exactly_the_moments_of_its_strides(schedule, spacing, steps):
    chosen = walk(schedule, steps, spacing)
    samples = outcome(SAMPLERS["ddpm"], chosen, DATA.denoiser(schedule))
    assert (samples.mean, samples.std) == pytest.approx(ddpm_moments(chosen, DATA), rel=1e-9)
    assert len(samples.slopes) == steps  # noise at the start and after every stride but the last


@pytest.mark.parametrize(
    ("steps", "tolerance"),
    # Few strides narrow the samples: the variance of q(x_s | x_t, x_0) leaves out the spread of x_0
    # around its estimate (Ho et al., section 3.2).
    [(1000, 0.01), (250, 0.03), (50, 0.12)],
)
def test_ddpm_reproduces_the_data_with_any_number_of_strides(steps, tolerance):
    samples = outcome(SAMPLERS["ddpm"], walk(steps=steps), DATA.denoiser(LINEAR))
    assert samples.mean == pytest.approx(DATA.mean, abs=1e-4)
    assert samples.std == pytest.approx(DATA.std, rel=tolerance)


def test_full_ddpm_is_equation_8():
    restored = SAMPLERS["ddpm"](DATA.denoiser(LINEAR), walk(steps=1000), drawing((1, 1, 16, 16)))
    alpha_bar = LINEAR.alpha_bar
    draw = drawing((1, 1, 16, 16))
    noisy = draw().double()
    for t in range(1000, 0, -1):
        alpha = alpha_bar[t] / alpha_bar[t - 1]
        clean = DATA.denoiser(LINEAR)(noisy, t)
        noise = (noisy - math.sqrt(alpha_bar[t]) * clean) / math.sqrt(1 - alpha_bar[t])
        noisy = (noisy - (1 - alpha) / math.sqrt(1 - alpha_bar[t]) * noise) / math.sqrt(alpha)
        if t > 1:
            sigma = math.sqrt((1 - alpha) * (1 - alpha_bar[t - 1]) / (1 - alpha_bar[t]))
            noisy = noisy + sigma * draw().double()
    np.testing.assert_allclose(restored, noisy, atol=1e-4)


def flow_errors(sampler, spacing, steps, *, schedule=NEARLY_CONTINUOUS, data=DATA):
    """Root mean square distance of samples from the exact probability flow."""
    flow = data.flow(schedule)
    errors = []
    for count in steps:
        samples = outcome(SAMPLERS[sampler], walk(schedule, count, spacing), data.denoiser(schedule))
        (slope,) = samples.slopes  # only the starting noise is random
        errors.append(math.hypot(samples.offset - flow.offset, slope - flow.slopes[0]))
    return errors


@pytest.mark.parametrize(
    ("sampler", "spacing", "order"),
    [
        *(("ddim", spacing, 1) for spacing in SPACINGS),
        *(("dpmpp_2m", spacing, 2) for spacing in ("quadratic", "log_snr")),
        *(("heun", spacing, 2) for spacing in ("quadratic", "log_snr")),
    ],
)
def test_deterministic_samplers_converge_to_the_probability_flow(sampler, spacing, order):
    steps = np.array([40, 80, 160, 320])
    errors = flow_errors(sampler, spacing, steps.tolist())
    assert -np.polyfit(np.log(steps), np.log(errors), 1)[0] == pytest.approx(order, abs=0.1)
    assert errors[-1] < (0.01 if order == 1 else 1e-4)


def test_uniform_spacing_takes_the_second_order_from_heun():
    """The last stride is of first order, and starts from noise of a variance proportional to it."""
    coarse, fine = flow_errors("heun", "uniform", (320, 1280))
    assert math.log(coarse / fine, 4) == pytest.approx(1, abs=0.15)


@pytest.mark.parametrize("std", [0.1, 0.5])
@pytest.mark.parametrize(
    ("sampler", "spacing", "steps", "tolerance"),
    [
        ("ddim", "uniform", 996, 0.02),
        ("ddim", "quadratic", 250, 0.02),
        ("dpmpp_2m", "log_snr", 20, 0.02),
        ("heun", "quadratic", 50, 0.01),
    ],
)
@every_schedule
def test_deterministic_samplers_reproduce_the_data(schedule, sampler, spacing, steps, tolerance, std):
    data = GaussianData(mean=0.7, std=std)
    samples = outcome(SAMPLERS[sampler], walk(schedule, steps, spacing), data.denoiser(schedule))
    assert samples.mean == pytest.approx(data.mean, abs=0.01 * std)
    assert samples.std == pytest.approx(data.std, rel=tolerance)


@every_sampler
def test_one_stride_is_the_first_estimate(sampler):
    noise = drawing((2, 1, 8, 8))()
    sample = SAMPLERS[sampler](DATA.denoiser(LINEAR), walk(steps=1), lambda: noise)
    torch.testing.assert_close(sample, DATA.denoiser(LINEAR)(noise, 1000))


@every_sampler
@pytest.mark.parametrize("steps", [1, 2, 10])
def test_network_evaluations_are_counted(sampler, steps):
    asked = []

    def denoise(noisy, time):
        asked.append(time)
        return 0.5 * noisy

    SAMPLERS[sampler](denoise, walk(steps=steps), drawing((1, 1, 4, 4)))
    assert len(asked) == SAMPLERS[sampler].network_evaluations(steps)
    assert min(asked) >= 1  # networks are not trained on t = 0


@every_sampler
def test_batch_size_changes_no_sample(sampler):
    def run(chosen):
        draw = partial(draw_noise, (len(chosen), 1, 8, 8), chosen, CPU)
        return SAMPLERS[sampler](DATA.denoiser(LINEAR), walk(), draw)

    together = run(generators(4))
    alone = [run([each]) for each in generators(4)]
    torch.testing.assert_close(together, torch.cat(alone))


@every_sampler
def test_samples_of_drawn_noise_have_the_exact_moments(sampler):
    """The oracle's probing against the law of large numbers."""
    shape = (4, 1, 128, 128)
    pixels = math.prod(shape)
    samples = SAMPLERS[sampler](DATA.denoiser(LINEAR), walk(), drawing(shape)).double()
    exact = outcome(SAMPLERS[sampler], walk(), DATA.denoiser(LINEAR))
    assert float(samples.mean()) == pytest.approx(exact.mean, abs=4 * exact.std / math.sqrt(pixels))
    assert float(samples.std()) == pytest.approx(exact.std, rel=4 / math.sqrt(2 * pixels))


# Schedules


def test_the_forward_process_has_the_law_of_equation_7():
    clean = torch.full((3, 1, 200, 200), 2.0)
    level = levels(torch.tensor([1, 300, 1000]), clean, LINEAR)
    noisy = level.noisy(clean, drawing(clean.shape)()).double()
    betas = np.linspace(1e-4, 0.02, 1000)
    for image, time in zip(noisy, (1, 300, 1000), strict=True):
        alpha_bar = math.exp(np.log1p(-betas[:time]).sum())
        assert float(image.mean()) == pytest.approx(2 * math.sqrt(alpha_bar), abs=0.02)
        assert float(image.std()) == pytest.approx(math.sqrt(1 - alpha_bar), rel=0.02)


def test_one_step_at_a_time_adds_up_to_equation_7():
    variance = 0.0
    for t in range(1, 1001):  # x_t = sqrt(1 - beta) x_{t-1} + sqrt(beta) epsilon, Eq. 6
        alpha = LINEAR.alpha_bar[t] / LINEAR.alpha_bar[t - 1]
        variance = variance * alpha + 1 - alpha
        assert variance == pytest.approx(1 - LINEAR.alpha_bar[t], rel=1e-9)
    assert 1 - LINEAR.alpha_bar[1] == pytest.approx(1e-4)
    assert 1 - LINEAR.alpha_bar[-1] / LINEAR.alpha_bar[-2] == pytest.approx(0.02)


def test_the_cosine_schedule_is_that_of_nichol_and_dhariwal():
    # Below the clip alpha_bar is the curve itself; 0.008 makes sqrt(beta_1) just under 1 / 127.5, the
    # width of a grey level (their section 3.2).
    offset = 0.008
    for time in (1, 250, 500, 999):
        angle = (time / 1000 + offset) / (1 + offset) * math.pi / 2
        curve = (math.cos(angle) / math.cos(offset / (1 + offset) * math.pi / 2)) ** 2
        assert COSINE.alpha_bar[time] == pytest.approx(curve, rel=1e-9)
    assert 0.8 / 127.5 < math.sqrt(1 - COSINE.alpha_bar[1]) < 1 / 127.5
    assert COSINE.alpha_bar[-1] / COSINE.alpha_bar[-2] == pytest.approx(0.001)  # beta_T = 0.999


def test_sampling_starts_where_an_estimate_of_x0_is_possible():
    assert LINEAR.start == 1000  # the published model visits all times
    assert COSINE.start == 996
    for schedule in (LINEAR, COSINE, NEARLY_CONTINUOUS, cosine_schedule(4000)):
        level = schedule.level(schedule.start)
        assert 150 < level.spread / level.signal < 170


@pytest.mark.parametrize("timesteps", [2, 10])
@pytest.mark.parametrize("make", SCHEDULES.values(), ids=SCHEDULES)
def test_short_schedules_are_sampled_from_their_end(make, timesteps):
    schedule = make(timesteps)
    assert schedule.timesteps == schedule.start == timesteps
    assert (np.diff(schedule.alpha_bar) < 0).all()


def test_times_are_drawn_from_1_to_t():
    times = draw_times(20_000, linear_schedule(10), torch.Generator().manual_seed(0))
    np.testing.assert_allclose(torch.bincount(times).numpy() / 2000, [0] + [1] * 10, atol=0.1)


# Walks


@every_schedule
@every_spacing
@pytest.mark.parametrize("steps", [1, 2, 3, 10, 300, 995, 996])
def test_walks_fall_from_the_start_to_0(schedule, spacing, steps):
    times = walk(schedule, steps, spacing).times
    assert len(times) == steps + 1
    assert (times[0], times[-1]) == (schedule.start, 0)
    assert all(time > target for time, target in pairwise(times))


@every_spacing
def test_a_walk_of_all_times_is_the_published_one(spacing):
    assert walk(LINEAR, 1000, spacing).times == tuple(range(1000, -1, -1))


def test_spacings_are_what_they_are_called():
    schedule = NEARLY_CONTINUOUS  # fine enough for rounding not to matter
    uniform, quadratic, log_snr = (np.array(walk(schedule, 50, each).times) for each in SPACINGS)
    np.testing.assert_allclose(np.diff(uniform), -2000)
    np.testing.assert_allclose(np.diff(np.sqrt(quadratic)), -math.sqrt(100_000) / 50, rtol=0.02)
    assert log_snr[-2] == 1
    gains = np.diff(schedule.log_snr[log_snr[:20]])
    np.testing.assert_allclose(gains, gains[0], rtol=0.01)


@every_schedule
def test_strides_know_their_levels(schedule):
    for stride in walk(schedule, 10).strides:
        assert stride.here == schedule.level(stride.start)
        assert stride.there == schedule.level(stride.end)
        if stride.end > 0:
            ratio = stride.there.signal * stride.here.spread / stride.there.spread / stride.here.signal
            assert stride.rise == pytest.approx(math.log(ratio))
        else:
            assert stride.rise == math.inf


@pytest.mark.parametrize("steps", [0, 997])
def test_impossible_numbers_of_steps_are_refused(steps):
    with pytest.raises(ValueError, match="between 1 and 996"):
        walk(COSINE, steps)


# Parametrisations


@every_schedule
@every_prediction
def test_a_target_gives_the_clean_image_back(schedule, prediction):
    parametrisation = PARAMETRISATIONS[prediction]
    clean, noise = (torch.randn(5, 1, 8, 8, generator=each) for each in generators(2))
    level = levels(torch.tensor([1, 10, 300, 900, schedule.start]), clean, schedule)
    target = parametrisation.target(clean, noise, level)
    found = parametrisation.clean(target, level.noisy(clean, noise), level)
    torch.testing.assert_close(found, clean, atol=1e-3, rtol=0)


def test_v_is_the_velocity_along_the_circle_of_signal_and_spread():
    """Salimans & Ho: v = d x / d phi, with signal = cos(phi) and spread = sin(phi)."""
    clean, noise = (torch.randn(1, 1, 4, 4, generator=each).double() for each in generators(2))
    alpha_bar = math.cos(0.4) ** 2
    level = Schedule(alpha_bar=np.array([1.0, alpha_bar])).level(1)
    step = 1e-5
    ahead, behind = (math.cos(phi) * clean + math.sin(phi) * noise for phi in (0.4 + step, 0.4 - step))
    velocity = PARAMETRISATIONS["v"].target(clean, noise, level)
    torch.testing.assert_close(velocity, (ahead - behind) / (2 * step), rtol=1e-6, atol=1e-8)


def diffusion(**settings) -> Diffusion:
    """The engine that some method's settings name."""

    class AnyMethod(DiffusionSettings):
        kind: str = "any"

    return Diffusion.of(AnyMethod(**{"sampling_steps": 20, "spacing": "quadratic", **settings}))


def perfect_network(engine: Diffusion, data: GaussianData = DATA, *, error: float = 0.0):
    """The best prediction of any parametrisation, off by ``error``."""

    def predict(noisy, times):
        level = levels(times, noisy, engine.schedule)
        (time,) = set(times.tolist())
        clean = data.denoiser(engine.schedule)(noisy, time)
        return engine.parametrisation.target(clean, level.noise(noisy, clean), level) + error

    return predict


@pytest.mark.parametrize("sampler", SAMPLERS)
@pytest.mark.parametrize("schedule", SCHEDULES)
def test_all_parametrisations_sample_alike(schedule, sampler):
    """In single precision, from a start where x_0 is hardly seen."""

    def sample(prediction):
        engine = diffusion(schedule=schedule, prediction=prediction, sampler=sampler)
        return engine.sample(
            perfect_network(engine), shape=(2, 1, 16, 16), generators=generators(2), device=CPU
        )

    for prediction in ("epsilon", "v"):
        torch.testing.assert_close(sample(prediction), sample("x0"), atol=2e-4, rtol=0)


def harm(prediction, sampler):
    """By how much cosine-noise samples change when every prediction is off by 0.01."""
    engine = diffusion(schedule="cosine", prediction=prediction, sampler=sampler)
    sample = partial(engine.sample, shape=(1, 1, 8, 8), device=CPU)
    with_error, without = (
        sample(perfect_network(engine, error=error), generators=generators(1)) for error in (0.01, 0.0)
    )
    return float((with_error - without).abs().max())


@every_prediction
@pytest.mark.parametrize("sampler", ["ddpm", "ddim", "dpmpp_2m"])
def test_an_imperfect_network_does_little_harm_with_cosine_noise(sampler, prediction):
    assert 0.005 < harm(prediction, sampler) < 0.2


@pytest.mark.parametrize("sampler", ["ddpm", "ddim", "dpmpp_2m"])
def test_starting_at_the_end_of_cosine_noise_would_magnify_errors(sampler, monkeypatch):
    monkeypatch.setattr("quietpet.diffusion.schedule.START_LOG_SNR", -50.0)
    assert harm("epsilon", sampler) > 1


@every_prediction
@pytest.mark.parametrize("schedule", SCHEDULES)
def test_the_loss_of_the_exact_denoiser_is_what_cannot_be_known(schedule, prediction):
    """Conditional variance of the target: Var(x_0 | x_t), scaled as the parametrisation scales x_0."""
    engine = diffusion(schedule=schedule, prediction=prediction)
    clean = DATA.mean + DATA.std * torch.randn(256, 1, 32, 32, generator=generators(1)[0])
    times = draw_times(256, engine.schedule, torch.Generator().manual_seed(9))

    def predict(noisy, found):
        assert torch.equal(found, times)
        level = levels(times, noisy, engine.schedule)
        variance = (level.signal * DATA.std) ** 2 + level.spread**2
        mean = DATA.mean + level.signal * DATA.std**2 / variance * (noisy - level.signal * DATA.mean)
        return engine.parametrisation.target(mean, level.noise(noisy, mean), level)

    loss = float(engine.loss(predict, clean, torch.Generator().manual_seed(9)))
    alpha_bar = engine.schedule.alpha_bar[times.numpy()]
    unknown = 1 / (1 / DATA.std**2 + alpha_bar / (1 - alpha_bar))
    scale = {"x0": 1.0, "epsilon": alpha_bar / (1 - alpha_bar), "v": 1 / (1 - alpha_bar)}[prediction]
    assert loss == pytest.approx(float(np.mean(scale * unknown)), rel=0.02)
