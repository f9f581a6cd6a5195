from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from noisy_batch import noisy_batch
from torch import nn

from quietpet.errors import InputError
from quietpet.methods.eagan.model import EaGAN, sobel_edges
from quietpet.methods.eagan.settings import Settings

SMALL = {"widths": (4, 8, 8), "discriminator_widths": (4, 8, 8)}


@pytest.fixture
def batch():
    return noisy_batch()


def tuned(batch, **changes):
    torch.manual_seed(1)
    method = EaGAN(Settings(**SMALL, **changes))
    method.tune([batch])
    return method


def draws():
    return torch.Generator().manual_seed(3)


def test_the_published_sizes():
    """29,242,369 and 2,767,553: pix2pix's U-Net of six levels and two inputs, PatchGAN of four."""
    settings = Settings()
    with torch.device("meta"):
        groups = EaGAN(settings).groups()
    counts = {name: sum(each.numel() for each in group) for name, group in groups.items()}
    assert counts == settings.published_parameters


@pytest.mark.parametrize(("widths", "parameters"), [(7, 41_828_353), (5, 16_656_385)])
def test_published_sizes_of_other_depths(widths, parameters):
    """The published generator in two dimensions, counted with seven and with five levels."""
    with torch.device("meta"):
        network = EaGAN(Settings(widths=(64, 128, 256, *(512,) * (widths - 3)))).generator
    assert sum(each.numel() for each in network.parameters()) == parameters


def test_blocks_with_dropout_are_the_published_ones():
    """From the fifth level on, but for the coarsest: pix2pix has (levels - 5) of them."""
    for levels, expected in [(4, 0), (5, 0), (6, 1), (8, 3)]:
        network = EaGAN(Settings(widths=(2,) * levels, dropout=0.25)).generator
        found = [each for each in network.modules() if isinstance(each, nn.Dropout)]
        assert [each.p for each in found] == [0.25] * expected


def test_edges_of_a_ramp_and_of_nothing():
    """A slope s along an axis has Sobel's gradient 8 s; outside the image there is no activity."""
    ramp = (0.02 * torch.arange(8.0) - 0.5).expand(1, 1, 8, 8)
    expected = 2 * torch.tanh(torch.tensor(0.16)) - 1
    for image in (ramp, ramp.mT):
        torch.testing.assert_close(sobel_edges(image)[..., 1:-1, 1:-1], expected.expand(1, 1, 6, 6))
    empty = torch.full((1, 1, 8, 8), -1.0, requires_grad=True)
    edges = sobel_edges(empty)
    assert torch.equal(edges, torch.full_like(edges, -1))
    edges.sum().backward()
    assert torch.isfinite(empty.grad).all()


def test_edges_are_those_of_three_dimensions_in_a_volume_of_equal_slices():
    """Published: products of 1, 2, 1 twice with -1, 0, 1 once, divided by 4, then the norm and tanh."""
    image = 2 * torch.rand(1, 1, 9, 9, generator=draws()) - 1
    smooth, difference = torch.tensor([1.0, 2, 1]), torch.tensor([-1.0, 0, 1])
    axes = [[difference if axis == along else smooth for axis in range(3)] for along in range(3)]
    kernels = torch.stack([torch.einsum("i,j,k->ijk", *each) for each in axes]) / 4
    volume = nn.functional.pad(image, (1, 1, 1, 1), value=-1.0)[:, :, None].expand(-1, -1, 3, -1, -1)
    gradient = nn.functional.conv3d(volume, kernels[:, None])[:, :, 0]
    expected = 2 * gradient.square().sum(dim=1, keepdim=True).sqrt().tanh() - 1
    torch.testing.assert_close(sobel_edges(image), expected)


def test_the_discriminator_alone_teaches_the_generator(batch):
    method = tuned(batch, l1_weight=0, sobel_weight=0).train()
    method.loss(batch, "generator", draws()).backward()
    for name, parameter in method.generator.named_parameters():
        assert parameter.grad.abs().max() > 0, name
    assert all(each.grad is None for each in method.discriminator.parameters())


def test_without_a_discriminator_that_judges_only_the_errors_teach(batch):
    method = tuned(batch, l1_weight=0, sobel_weight=0).train()
    for parameter in method.discriminator.parameters():
        nn.init.zeros_(parameter)
    method.loss(batch, "generator", draws()).backward()
    assert all(each.grad.abs().max() == 0 for each in method.generator.parameters())


def test_the_discriminator_sees_edges(batch):
    """dEa, not gEa: a discriminator of the last channel alone moves the generator by edges."""
    method = tuned(batch)
    images = method._wanted(batch)
    shown = method._shown(batch, images)
    assert shown.shape == (4, 4, 32, 32)
    torch.testing.assert_close(shown[:, 3:], sobel_edges(images))
    torch.testing.assert_close(shown[:, :1], 2 * batch.low / method.peak - 1)
    torch.testing.assert_close(shown[:, 2:3], 2 * batch.standard / method.peak - 1)


def test_the_weight_of_the_edges_rises_as_the_generator_learns(batch):
    method = tuned(batch, l1_weight=0, sobel_weight=80, sobel_ramp_iterations=4).train()
    images, wanted = (sobel_edges(method._scaled(each)) for each in (batch.low, batch.standard))
    whole = 80 * float((images - wanted).abs().mean())
    found = [float(method._distance(batch, method._scaled(batch.low))) / whole for _ in range(6)]
    assert found == pytest.approx([0, 0.25, 0.5, 0.75, 1, 1])
    method.loss(batch, "discriminator", draws())
    method.eval().loss(batch, "generator", draws())
    assert method.generator_steps == 6


def test_labels_are_smoothed_and_drawn(batch):
    """Published: 0.7 to 1.2 for real, 0 to 0.3 for generated."""
    method, generator = tuned(batch), draws()
    drawn = torch.tensor([method._labels(generator) for _ in range(500)])
    torch.testing.assert_close(drawn.amin(0), torch.tensor([0.0, 0.7]), atol=0.01, rtol=0)
    torch.testing.assert_close(drawn.amax(0), torch.tensor([0.3, 1.2]), atol=0.01, rtol=0)


def test_restored_images_lie_between_nothing_and_the_headroom(batch):
    method = tuned(batch, headroom=2.0).eval()
    assert float(method.peak) == pytest.approx(2 * float(batch.standard.max()))
    with torch.inference_mode():
        for weight, value in ((50.0, 2 * float(batch.standard.max())), (-50.0, 0.0)):
            last = method.generator.up[0][1]
            nn.init.zeros_(last.weight)
            nn.init.constant_(last.bias, weight)
            torch.testing.assert_close(
                method.restore(batch, ()), torch.full_like(batch.low, value), atol=1e-5, rtol=1e-5
            )


def test_little_activity_survives_16_bits(batch):
    """Next to -1, where it stands, bfloat16 has steps of 1/256."""
    method = tuned(batch).eval()
    nn.init.constant_(method.generator.up[0][1].bias, -4.0)
    with torch.inference_mode():
        expected = method.restore(batch, ())
        with torch.autocast("cpu", torch.bfloat16):
            found = method.restore(batch, ())
    assert float(expected.max()) < 1e-3 * float(method.peak)
    torch.testing.assert_close(found, expected, rtol=0.03, atol=0)


def test_an_empty_validation_is_refused(batch):
    empty = replace(batch, standard=0 * batch.standard)
    with pytest.raises(InputError, match="the standard dose is empty"):
        EaGAN(Settings(**SMALL)).tune([empty])
