from __future__ import annotations

import pytest
import torch
from torch import nn

from quietpet.config.fusion import FusionSettings
from quietpet.methods.blocks.attention import SpatialAttention
from quietpet.methods.blocks.coupling import AffineCoupling, CouplingStack
from quietpet.methods.blocks.fusion import FeatureFusion
from quietpet.methods.blocks.normalisation import ChannelLayerNorm
from quietpet.methods.blocks.restormer import RestormerBlock


def features(channels=8, pixels=24, scale=1.0):
    return scale * torch.randn(2, channels, pixels, pixels, generator=torch.Generator().manual_seed(0))


@pytest.fixture(autouse=True)
def _fixed_weights():
    torch.manual_seed(0)


def coupling(*, swapped=False, bound=1.0):
    return with_large_weights(
        AffineCoupling(channels=8, expansion=2, swapped=swapped, log_scale_bound=bound)
    )


def detail_branch(*, layers=3):
    return CouplingStack(channels=8, layers=layers, expansion=2, log_scale_bound=1)


def with_large_weights(module: nn.Module) -> nn.Module:
    """Random weights far from their small initial ones, so that the log-scales are felt."""
    for parameter in module.parameters():
        nn.init.normal_(parameter, std=0.4)
    return module


@pytest.mark.parametrize("layers", [1, 3, 4])
def test_the_detail_branch_is_inverted_to_float32_accuracy(layers):
    branch = with_large_weights(detail_branch(layers=layers))
    with torch.inference_mode():
        error = (branch.inverse(branch(features())) - features()).abs().max()
    assert error < 1e-5


def test_every_half_of_the_detail_branch_is_changed():
    branch = detail_branch()
    changed = (branch(features()) - features()).abs().amax(dim=(0, 2, 3))
    assert (changed > 1e-3).all()


@pytest.mark.parametrize("swapped", [False, True])
def test_a_coupling_layer_is_equation_4(swapped):
    layer = coupling(swapped=swapped)
    first, last = features().chunk(2, dim=1)
    changed, kept = (last, first) if swapped else (first, last)
    expected = changed * torch.exp(torch.tanh(layer.log_scale(kept))) + layer.shift(kept)
    first_out, last_out = layer(features()).chunk(2, dim=1)
    torch.testing.assert_close(last_out if swapped else first_out, expected)
    assert torch.equal(first_out if swapped else last_out, kept)


def test_huge_features_do_not_overflow_the_coupling():
    assert torch.isfinite(coupling()(features(scale=1e6))).all()


@pytest.mark.parametrize(("bound", "finite"), [(1.0, True), (50.0, False)])
def test_half_precision_needs_the_bound(bound, finite):
    """exp of more than 11.1 is beyond the range of float16, 65504."""
    scaled = coupling(bound=bound).half()(features(scale=20.0).half())
    assert bool(torch.isfinite(scaled).all()) == finite


@pytest.mark.parametrize("bound", [0.5, 1.0])
def test_no_pixel_is_amplified_beyond_the_bound(bound):
    layer, kept = coupling(bound=bound), features(scale=100.0)
    small, large = (
        torch.cat([value * torch.ones(2, 4, 24, 24), kept[:, 4:]], dim=1) for value in (0, 1)
    )
    amplification = (layer(large) - layer(small))[:, :4]
    limits = torch.tensor(bound).neg().exp(), torch.tensor(bound).exp()
    torch.testing.assert_close(amplification.amin(), limits[0], rtol=1e-3, atol=0)
    torch.testing.assert_close(amplification.amax(), limits[1], rtol=1e-3, atol=0)


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


@pytest.mark.parametrize("attention", ["channel", "spatial"])
def test_a_restormer_block_is_equation_3(attention):
    block = RestormerBlock(channels=8, heads=2, expansion=2, attention=attention)
    attended = block.attention(block.norm_attention(features())) + features()
    expected = block.mlp(block.norm_mlp(attended)) + attended
    torch.testing.assert_close(block(features()), expected)
    for parameter in (*block.attention.parameters(), *block.mlp.parameters()):
        nn.init.zeros_(parameter)
    torch.testing.assert_close(block(features()), features())


def test_spatial_attention_is_a_softmax_over_all_pixels():
    layer, images = SpatialAttention(channels=8, heads=2), features(pixels=6)
    query, key, value = (
        part.reshape(2, 2, 4, 36) for part in layer.qkv(images).chunk(3, dim=1)
    )  # (slice, head, channel of the head, pixel)
    weights = torch.softmax(torch.einsum("nhcp,nhcq->nhpq", query, key) / 4**0.5, dim=-1)
    attended = torch.einsum("nhpq,nhcq->nhcp", weights, value).reshape(2, 8, 6, 6)
    torch.testing.assert_close(layer(images), layer.project_out(attended))


def reach(fusion: FeatureFusion) -> torch.Tensor:
    """Which pixels of F change with one pixel of the low-dose image (y, x)."""
    pet, mr = (torch.rand(1, 1, 40, 40, generator=torch.Generator().manual_seed(k)) for k in (1, 2))
    changed = pet.clone()
    changed[..., 20, 20] += 1
    with torch.inference_mode():
        return (fusion(changed, mr) - fusion(pet, mr)).abs().amax(dim=(0, 1)) > 1e-7


@pytest.mark.parametrize("branches", [("global", "detail"), ("global", "global"), ("detail", "detail")])
@pytest.mark.parametrize("aggregation", ["sum", "concat"])
def test_fusion_gives_one_feature_map_per_channel_from_both_modalities(branches, aggregation):
    settings = FusionSettings(
        channels=8, heads=2, encoder_blocks=1, branches=branches, aggregation=aggregation
    )
    fusion = FeatureFusion(settings)
    pet, mr = features(channels=1), features(channels=1) + 1
    fused = fusion(pet, mr)
    assert fused.shape == (2, 8, 24, 24)
    assert not torch.allclose(fusion(pet, pet), fused)
    assert not torch.allclose(fusion(mr, mr), fused)


def test_the_two_branches_of_one_kind_have_weights_of_their_own():
    fusion = FeatureFusion(FusionSettings(channels=8, heads=2, branches=("detail", "detail")))
    first, second = fusion.branches
    assert not torch.allclose(first(features(), features()), second(features(), features()))


def test_local_and_global_branches_reach_as_far_as_their_names_say():
    """With the channel attention of encoder and decoder silenced, only the global branch sees far."""
    for branches, far in ((("detail", "detail"), False), (("global", "detail"), True)):
        for attention in ("channel", "spatial"):
            fusion = FeatureFusion(
                FusionSettings(
                    channels=8, heads=2, encoder_blocks=1, branches=branches, global_attention=attention
                )
            )
            for module in (*fusion.encoder_pet, *fusion.encoder_mr, *fusion.decoder):
                if isinstance(module, RestormerBlock):
                    nn.init.zeros_(next(module.attention.project_out.parameters()))
            assert bool(reach(fusion)[0, 0]) == far
