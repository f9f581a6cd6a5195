from __future__ import annotations

import pytest
import torch
from torch import nn

from quietpet.methods.blocks.coupling import AffineCoupling, CouplingStack
from quietpet.methods.blocks.normalisation import ChannelLayerNorm
from quietpet.methods.blocks.restormer import RestormerBlock


def features(channels=8, pixels=24, scale=1.0):
    return scale * torch.randn(2, channels, pixels, pixels, generator=torch.Generator().manual_seed(0))


@pytest.fixture(autouse=True)
def _fixed_weights():
    torch.manual_seed(0)


def with_large_weights(module: nn.Module) -> nn.Module:
    """Random weights far from their small initial ones, so that the log-scales are felt."""
    for parameter in module.parameters():
        nn.init.normal_(parameter, std=0.4)
    return module


@pytest.mark.parametrize("layers", [1, 3, 4])
def test_the_detail_branch_is_inverted_to_float32_accuracy(layers):
    branch = with_large_weights(CouplingStack(channels=8, layers=layers, expansion=2))
    with torch.inference_mode():
        error = (branch.inverse(branch(features())) - features()).abs().max()
    assert error < 1e-5


def test_every_half_of_the_detail_branch_is_changed():
    branch = CouplingStack(channels=8, layers=3, expansion=2)
    changed = (branch(features()) - features()).abs().amax(dim=(0, 2, 3))
    assert (changed > 1e-3).all()


@pytest.mark.parametrize("swapped", [False, True])
def test_a_coupling_layer_is_equation_4(swapped):
    layer = with_large_weights(AffineCoupling(channels=8, expansion=2, swapped=swapped))
    first, last = features().chunk(2, dim=1)
    changed, kept = (last, first) if swapped else (first, last)
    expected = changed * torch.exp(torch.tanh(layer.log_scale(kept))) + layer.shift(kept)
    first_out, last_out = layer(features()).chunk(2, dim=1)
    torch.testing.assert_close(last_out if swapped else first_out, expected)
    assert torch.equal(first_out if swapped else last_out, kept)


def test_huge_features_do_not_overflow_the_coupling():
    layer = with_large_weights(AffineCoupling(channels=8, expansion=2, swapped=False))
    assert torch.isfinite(layer(features(scale=1e6))).all()


def test_channel_normalisation_gives_each_pixel_zero_mean_and_unit_variance():
    normalised = ChannelLayerNorm(8)(features(scale=5.0) + 3.0)
    torch.testing.assert_close(normalised.mean(dim=1), torch.zeros(2, 24, 24), atol=1e-5, rtol=0)
    variance = normalised.var(dim=1, correction=0)
    torch.testing.assert_close(variance, torch.ones_like(variance), atol=1e-3, rtol=0)


def test_channel_normalisation_of_a_pixel_ignores_all_others():
    norm, images = ChannelLayerNorm(8), features()
    changed = images.clone()
    changed[:, :, 5, 5] += torch.arange(8.0)
    difference = (norm(changed) - norm(images)).abs().amax(dim=1)
    assert (difference[:, 5, 5] > 0).all()
    assert torch.count_nonzero(difference) == 2


def test_a_restormer_block_is_equation_3():
    block = RestormerBlock(channels=8, heads=2, expansion=2)
    attended = block.attention(block.norm_attention(features())) + features()
    expected = block.mlp(block.norm_mlp(attended)) + attended
    torch.testing.assert_close(block(features()), expected)
    for parameter in (*block.attention.parameters(), *block.mlp.parameters()):
        nn.init.zeros_(parameter)
    torch.testing.assert_close(block(features()), features())
