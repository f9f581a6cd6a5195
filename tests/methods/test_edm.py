"""EDM's design against its own equations, and its sampler against data whose flow is known."""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest
import torch
from gaussian_oracle import GaussianData, outcome

from quietpet.diffusion.samplers import SAMPLERS
from quietpet.methods.blocks.diffusion import draw_noise
from quietpet.methods.blocks.edm import (
    Preconditioning,
    denoiser_of,
    draw_sigma,
    noise_levels,
    walk_of,
)

HEUN = SAMPLERS["heun"]
DATA = GaussianData(mean=0.1, std=1.0)
"""In units of sigma_data, as the walks of `csrd`."""
SIGMA = torch.tensor([1e-3, 0.02, 0.5, 3.0, 80.0], dtype=torch.float64).view(-1, 1, 1, 1)

every_width = pytest.mark.parametrize("sigma_data", [0.02, 0.5, 7.0])


def preconditioning(sigma_data: float) -> Preconditioning:
    return Preconditioning(sigma_data=torch.tensor(sigma_data, dtype=torch.float64))


def walk(steps: int, *, least: float = 0.002, most: float = 80.0):
    """At the levels of the paper, which are for sigma_data = 0.5."""
    return walk_of(noise_levels(steps, least=least, most=most, rho=7.0) / 0.5)


# Preconditioning


@every_width
def test_inputs_and_targets_of_the_network_have_unit_variance(sigma_data):
    """What appendix B.6 of the paper asks for, not the formulas it arrives at."""
    design = preconditioning(sigma_data)
    variance_of_noisy = sigma_data**2 + SIGMA**2
    torch.testing.assert_close(design.into(SIGMA) ** 2 * variance_of_noisy, torch.ones_like(SIGMA))
    # (y - c_skip (y + n)) / c_out
    skip, out = design.skip(SIGMA), design.out(SIGMA)
    variance_of_target = ((1 - skip) ** 2 * sigma_data**2 + skip**2 * SIGMA**2) / out**2
    torch.testing.assert_close(variance_of_target, torch.ones_like(SIGMA))
    torch.testing.assert_close(design.weight(SIGMA) * out**2, torch.ones_like(SIGMA))


@every_width
def test_no_other_skip_connection_magnifies_the_network_less(sigma_data):
    design = preconditioning(sigma_data)

    def magnification(skip):
        return (1 - skip) ** 2 * sigma_data**2 + skip**2 * SIGMA**2

    best = design.skip(SIGMA)
    for change in (-1e-3, 1e-3):
        assert (magnification(best + change) > magnification(best)).all()


def test_the_network_is_trained_on_the_error_in_its_own_scale():
    """Eq. 8: the weighted error of D is the plain error of F."""
    design = preconditioning(0.3)
    drawn = torch.Generator().manual_seed(0)
    clean, noise, raw = (torch.randn(5, 1, 8, 8, generator=drawn).double() for _ in range(3))
    target = (clean - design.skip(SIGMA) * (clean + SIGMA * noise)) / design.out(SIGMA)
    found = design.loss(lambda *_: raw, clean, noise, SIGMA)
    torch.testing.assert_close(found, (raw - target).square().mean())


def test_the_network_sees_the_scaled_image_and_the_logarithm_of_the_level():
    seen = []

    def network(noisy, level):
        seen.extend([noisy, level])
        return torch.zeros_like(noisy)

    noisy = torch.ones(5, 1, 2, 2, dtype=torch.float64)
    denoised = preconditioning(0.5).denoised(network, noisy, SIGMA)
    torch.testing.assert_close(seen[0], noisy / (0.25 + SIGMA**2).sqrt())
    torch.testing.assert_close(seen[1], torch.tensor(np.log(SIGMA.flatten().numpy()) / 4))
    torch.testing.assert_close(denoised, noisy * 0.25 / (0.25 + SIGMA**2))


def test_noise_levels_are_drawn_from_the_stated_distribution():
    drawn = draw_sigma(
        20_000, log_mean=-1.2, log_std=1.2, generator=torch.Generator().manual_seed(0)
    ).log()
    assert drawn.shape == (20_000, 1, 1, 1)
    assert float(drawn.mean()) == pytest.approx(-1.2, abs=4 * 1.2 / 20_000**0.5)
    assert float(drawn.std()) == pytest.approx(1.2, rel=0.02)


# Levels


def test_levels_fall_from_most_to_least_in_equal_steps_of_their_root():
    levels = noise_levels(18, least=0.002, most=80.0, rho=7.0)
    assert levels[[0, -1]] == pytest.approx([80.0, 0.002])
    roots = levels ** (1 / 7)
    np.testing.assert_allclose(np.diff(roots), (roots[-1] - roots[0]) / 17)
    assert noise_levels(1, least=0.002, most=80.0, rho=7.0) == pytest.approx([80.0])


def test_a_walk_visits_the_levels_and_ends_at_the_data():
    levels = noise_levels(6, least=0.002, most=80.0, rho=7.0)
    seen = [stride.here.spread / stride.here.signal for stride in walk_of(levels).strides]
    np.testing.assert_allclose(seen, levels, rtol=1e-9)
    last = walk_of(levels).strides[-1].there
    assert (last.signal, last.spread) == (1.0, 0.0)


# Sampling


def test_heun_is_algorithm_1_of_the_paper():
    """Its steps in x against sigma, with a denoiser that is not linear."""
    levels = noise_levels(7, least=0.01, most=40.0, rho=7.0)

    def denoised(noisy, sigma):
        return torch.tanh(noisy / (1 + sigma)) * 0.7 + 0.1

    draw = partial(draw_noise, (1, 1, 4, 4), [torch.Generator().manual_seed(0)], torch.device("cpu"))
    x = draw().double() * float(np.sqrt(1 + levels[0] ** 2))
    for level, following in zip(levels, [*levels[1:], 0.0], strict=True):
        slope = (x - denoised(x, level)) / level
        ahead = x + (following - level) * slope
        if following > 0:
            slope = (slope + (ahead - denoised(ahead, following)) / following) / 2
            ahead = x + (following - level) * slope
        x = ahead

    start = partial(draw_noise, (1, 1, 4, 4), [torch.Generator().manual_seed(0)], torch.device("cpu"))
    way = walk_of(levels)
    found = HEUN(denoiser_of(denoised, way), way, lambda: start().double())
    torch.testing.assert_close(found, x, rtol=1e-9, atol=1e-9)


def flow_error(steps: int) -> float:
    """Distance of Heun's samples from the exact probability flow, in widths of the data."""
    way = walk(steps)
    found, exact = outcome(HEUN, way, DATA.denoiser(way.schedule)), DATA.flow(way.schedule)
    return float(np.hypot(found.offset - exact.offset, found.slopes[0] - exact.slopes[0])) / DATA.std


@pytest.mark.parametrize("std", [1.0, 0.25])
def test_samples_have_the_mean_and_width_of_the_data(std):
    """Narrower data are what a low-dose image leaves open of the residual."""
    data = GaussianData(mean=0.1, std=std)
    for way, tolerance in ((walk(100), 0.005), (walk(10, least=0.02, most=5.0), 0.06)):
        found = outcome(HEUN, way, data.denoiser(way.schedule))
        assert found.mean == pytest.approx(data.mean, abs=0.02 * data.std)
        assert found.std == pytest.approx(data.std, rel=tolerance)
    assert HEUN.network_evaluations(10) == 19


def test_the_error_falls_with_the_square_of_the_steps():
    errors = {steps: flow_error(steps) for steps in (20, 40, 80)}
    for steps in (20, 40):
        assert np.log2(errors[steps] / errors[2 * steps]) == pytest.approx(2, abs=0.25), errors
