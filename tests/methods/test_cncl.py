from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from noisy_batch import noisy_batch
from torch import nn

from quietpet.methods.cncl.model import CNCL
from quietpet.methods.cncl.settings import Settings

SMALL = {"widths": (4, 8, 8), "discriminator_widths": (4, 8, 8)}
NEVER_USED = 2 * 2 * (64 + 32)
"""Weights and biases of two batch norms in the head of each published predictor, which no pass calls."""


@pytest.fixture
def batch():
    return noisy_batch()


def made(**changes):
    torch.manual_seed(1)
    return CNCL(Settings(**{**SMALL, **changes}))


def draws():
    return torch.Generator().manual_seed(3)


def test_the_published_sizes_but_for_what_is_never_used():
    settings = Settings()
    with torch.device("meta"):
        groups = CNCL(settings).groups()
    counts = {name: sum(each.numel() for each in group) for name, group in groups.items()}
    assert NEVER_USED == 384
    assert counts["discriminator"] == settings.published_parameters["discriminator"]
    assert counts["generator"] == settings.published_parameters["generator"] - NEVER_USED


def test_the_input_without_the_noise_is_a_content(batch):
    """Fused of that path alone, content and noise add up to the low dose."""
    method = made().eval()
    with torch.inference_mode():
        method.generator.fusion.weight[:] = torch.tensor([0.0, 1.0]).reshape(1, 2, 1, 1)
        method.generator.fusion.bias.zero_()
        content, noise = method.generator(batch.low, batch.t1).split(1, dim=1)
        assert noise.abs().max() > 0
        torch.testing.assert_close(content + noise, batch.low)
        torch.testing.assert_close(content, method.restore(batch, ()))


def test_contents_of_both_paths_are_fused(batch):
    method = made().eval()
    generator = method.generator
    with torch.inference_mode():
        images = torch.cat([batch.low, batch.t1], dim=1)
        first, noise = generator.content(images), generator.noise(images)
        (by_content, by_noise), bias = generator.fusion.weight.flatten(), generator.fusion.bias
        expected = by_content * first + by_noise * (batch.low - noise) + bias
        torch.testing.assert_close(generator(batch.low, batch.t1), torch.cat([expected, noise], dim=1))


def test_content_and_noise_are_learned_alike(batch):
    """100 times the mean absolute error over both, beside the discriminator's constant opinion."""
    method = made(l1_weight=100).train()
    for parameter in method.discriminator.parameters():
        nn.init.zeros_(parameter)
    output = method.generator(batch.low, batch.t1)
    content, noise = output.split(1, dim=1)
    errors = [(content - batch.standard).abs(), (noise - (batch.low - batch.standard)).abs()]
    expected = 1 + 100 * torch.stack(errors).mean()
    torch.testing.assert_close(method.loss(batch, "generator", draws()), expected)


def test_the_discriminator_alone_teaches_the_generator(batch):
    method = made(l1_weight=0).train()
    method.loss(batch, "generator", draws()).backward()
    for name, parameter in method.generator.named_parameters():
        assert parameter.grad.abs().max() > 0, name
    assert all(each.grad is None for each in method.discriminator.parameters())


def test_the_discriminator_sees_content_noise_and_both_inputs(batch):
    method = made()
    shown = method._shown(batch, method._wanted(batch))
    expected = [batch.standard, batch.low - batch.standard, batch.low, batch.t1]
    assert torch.equal(shown, torch.cat(expected, dim=1))


@pytest.mark.parametrize(("pixels", "judgements"), [(192, 12), (128, 8)])
def test_judgements_of_the_published_discriminator(pixels, judgements):
    """One sixteenth of the side of the image."""
    with torch.device("meta"):
        found = CNCL(Settings(widths=(4, 4))).discriminator(torch.zeros(1, 4, pixels, pixels))
    assert found.shape == (1, 1, judgements, judgements)


def test_the_smallest_allowed_image_is_learned_from(batch):
    settings = Settings(**SMALL)
    side = settings.divisor
    images = batch.low[..., :side, :side]
    small = replace(batch, low=images, standard=images, t1=images)
    for group in ("discriminator", "generator"):
        assert torch.isfinite(CNCL(settings).loss(small, group, draws()))
