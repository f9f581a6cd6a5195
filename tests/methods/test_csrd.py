from __future__ import annotations

import math

import pytest
import torch

from quietpet.data.pairs import Batch
from quietpet.errors import InputError
from quietpet.methods.csrd.model import build
from quietpet.methods.csrd.settings import Settings
from quietpet.training.ema import power_exponent

SMALL = {"channels": 8, "multipliers": (1, 2), "blocks": 1, "dropout": 0.0}


def batch(*, low: torch.Tensor, standard: torch.Tensor) -> Batch:
    return Batch(
        low=low, standard=standard, t1=standard.round(), has_t1=torch.ones(len(low), dtype=torch.bool),
        scale=torch.ones(len(low)),
        keys=tuple("abcdefgh"[: len(low)]), pixel_mm=2.0,
    )  # fmt: skip


def blobs(*, noise: float, count: int = 4, side: int = 32, seed: int = 0) -> Batch:
    """Smooth standard doses, and the same with noise everywhere."""
    drawn = torch.Generator().manual_seed(seed)
    standard = 1 + torch.nn.functional.avg_pool2d(
        4 * torch.randn(count, 1, side, side, generator=drawn), 9, 1, 4
    )
    low = standard + noise * torch.randn(standard.shape, generator=drawn)
    return batch(low=low, standard=standard)


def generators(count: int) -> list[torch.Generator]:
    return [torch.Generator().manual_seed(number) for number in range(count)]


def restored(method, data: Batch) -> torch.Tensor:
    with torch.inference_mode():
        return method.eval().restore(data, generators(len(data.keys)))


# Size


def count(*, dimensions: int, inputs: int, channels: int, multipliers: tuple[int, ...], blocks: int):
    """Parameters of DDPM++ in any number of dimensions, layer by layer."""
    embedded = 4 * channels

    def convolution(before, after, kernel):
        return before * after * kernel**dimensions + after

    def linear(before, after):
        return before * after + after

    def block(before, after, *, resampled=False, attends=False):
        total = 2 * before + convolution(before, after, 3) + linear(embedded, after)
        total += 2 * after + convolution(after, after, 3)
        if before != after or resampled:
            total += convolution(before, after, 1)
        if attends:
            total += 2 * after + convolution(after, 3 * after, 1) + convolution(after, after, 1)
        return total

    widths = [channels * multiplier for multiplier in multipliers]
    total = linear(channels, embedded) + linear(embedded, embedded)
    total += convolution(inputs, channels, 3)
    width, skips = channels, [channels]
    for level, wanted in enumerate(widths):
        if level:
            total += block(width, width, resampled=True)
            skips.append(width)
        for _ in range(blocks):
            total += block(width, wanted)
            width = wanted
            skips.append(width)
    total += block(width, width, attends=True) + block(width, width)
    for level, wanted in reversed(list(enumerate(widths))):
        if level < len(widths) - 1:
            total += block(width, width, resampled=True)
        for _ in range(blocks + 1):
            total += block(width + skips.pop(), wanted)
            width = wanted
    return total + 2 * width + convolution(width, 1, 3)


PUBLISHED = {"channels": 64, "multipliers": (1, 2, 2, 2), "blocks": 4}


def test_the_published_network_is_counted_layer_by_layer():
    """In 3-D it sees residual, T1, low dose and three coordinates."""
    (published,) = Settings().published_parameters.values()
    assert count(dimensions=3, inputs=6, **PUBLISHED) == published == 41_253_505


@pytest.mark.parametrize("sizes", [PUBLISHED, {"channels": 16, "multipliers": (1, 2, 3), "blocks": 2}])
def test_the_network_has_the_parameters_of_the_same_layers_in_two_dimensions(sizes):
    found = build(Settings(**sizes)).parameter_count
    assert found == count(dimensions=2, inputs=3, **sizes)


def test_its_default_size_is_that_of_the_card():
    assert build(Settings()).parameter_count == 15_144_001
    assert count(dimensions=2, inputs=5, **PUBLISHED) == 15_145_153


# sigma_data


@pytest.mark.parametrize("noise", [0.03, 2.0])
def test_sigma_data_is_the_standard_deviation_of_the_residual(noise):
    method = build(Settings(**SMALL))
    data = blobs(noise=noise, side=64)
    method.tune([data])
    exact = ((data.low * (data.standard - data.low) ** 2).sum() / data.low.sum()) ** 0.5
    assert float(method.sigma_data) == pytest.approx(float(exact), rel=1e-5)
    if noise < 1:  # the noise does not change the weights then
        assert float(method.sigma_data) == pytest.approx(noise, rel=0.03)


def test_sigma_data_does_not_depend_on_the_square_around_the_head():
    data = blobs(noise=0.1)
    padded = {
        name: torch.nn.functional.pad(getattr(data, name), (16,) * 4) for name in ("low", "standard")
    }
    found = []
    for each in (data, batch(**padded)):
        method = build(Settings(**SMALL))
        method.tune([each])
        found.append(float(method.sigma_data))
    assert found[0] == pytest.approx(found[1], rel=1e-6)


def test_equal_doses_are_refused():
    image = torch.ones(1, 1, 32, 32)
    with pytest.raises(InputError, match="nothing to learn"):
        build(Settings(**SMALL)).tune([batch(low=image, standard=image)])


# What an untrained network makes is known: D = c_skip x is the exact denoiser of N(0, sigma_data^2).


@pytest.mark.parametrize("noise", [0.02, 0.7])
def test_an_untrained_network_has_a_loss_of_one_at_any_scale(noise):
    data = blobs(noise=noise, count=8)
    method = build(Settings(**SMALL))
    method.sigma_data.fill_((data.standard - data.low).square().mean().sqrt())
    with torch.inference_mode():
        losses = [float(method.loss(data, "network", each)) for each in generators(40)]
    assert sum(losses) / len(losses) == pytest.approx(1.0, abs=0.03)


@pytest.mark.parametrize("sigma_data", [0.02, 30.0])
@pytest.mark.parametrize("sampler", ["heun", "dpmpp_2m"])
def test_an_untrained_network_samples_noise_of_the_width_sigma_data(sigma_data, sampler):
    method = build(Settings(**SMALL, sampler=sampler, sampling_steps=40))
    method.sigma_data.fill_(sigma_data)
    data = blobs(noise=0.1)
    residual = (restored(method, data) - data.low) / sigma_data
    assert float(residual.std()) == pytest.approx(1.0, abs=0.03)
    assert float(residual.mean()) == pytest.approx(0.0, abs=0.03)


# Sampling a trained network


def trained(data: Batch, *, steps: int):
    torch.manual_seed(0)
    method = build(Settings(**SMALL))
    method.tune([data])
    optimiser = torch.optim.AdamW(method.parameters(), lr=5e-3)
    for step in range(steps):
        optimiser.zero_grad()
        method.loss(data, "network", torch.Generator().manual_seed(step)).backward()
        optimiser.step()
    return method


def psnr_db(images: torch.Tensor, data: Batch) -> float:
    return float(10 * torch.log10(data.standard.max() ** 2 / (images - data.standard).square().mean()))


FEW = {"sampler": "dpmpp_2m", "sampling_steps": 20, "sigma_min": 0.05, "sigma_max": 20.0}


def test_twenty_evaluations_are_as_good_as_a_hundred_steps_of_heun():
    data = blobs(noise=0.3, count=2)
    few, many = Settings(**SMALL, **FEW), Settings(**SMALL, sampling_steps=100)
    assert (few.network_evaluations, many.network_evaluations) == (20, 199)
    weights = trained(data, steps=120).state_dict()
    quality = []
    for settings in (few, many):
        method = build(settings)
        method.load_state_dict(weights)
        quality.append(psnr_db(restored(method, data), data))
    assert quality[0] == pytest.approx(quality[1], abs=0.1)
    assert quality[1] > psnr_db(data.low, data) + 3


def test_the_cost_of_a_sample_is_stated():
    settings = Settings(sampling_steps=10)
    assert settings.network_evaluations == 19
    assert "19 network evaluations" in settings.describe()
    assert settings.for_training() == Settings(sampler="dpmpp_2m", sampling_steps=10)


def test_no_sampling_setting_changes_a_training():
    changed = Settings(
        sampler="ddim", sampling_steps=3, samples_per_slice=4, sigma_min=0.1, sigma_max=4.0, rho=2.0
    )
    assert changed.for_training() == Settings().for_training()


# Settings


def test_the_published_average_has_a_half_life_of_a_twentieth_of_the_training():
    """An average of decay 0.5**(1 / (0.05 t)) at step t ends with weights t**(ln 2 / 0.05 - 1)."""
    settings = Settings().published_training.ema
    assert settings.profile == "power"
    exponent = math.log(2) / 0.05 - 1
    assert power_exponent(settings.relative_width) == pytest.approx(exponent, rel=0.01)


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"sigma_min": 80.0}, "sigma_min = 80 must be below sigma_max = 80"),
        ({"channels": 36}, "channels = 36 must be a multiple of 32"),
    ],
)
def test_settings_that_cannot_be_are_refused(wrong, words):
    with pytest.raises(ValueError, match=words):
        Settings(**wrong)
