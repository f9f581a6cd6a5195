from __future__ import annotations

import pytest
import torch

from quietpet.config.methods import require_batch
from quietpet.data.pairs import Batch
from quietpet.errors import InputError
from quietpet.methods.hinet.model import build
from quietpet.methods.hinet.networks import FusionNetwork, MixedFusion, leaky
from quietpet.methods.hinet.settings import Settings
from quietpet.methods.unet.settings import Settings as UNetSettings

SMALL = {"channels": 4, "discriminator_channels": 4}


def images(*, seed: int = 0, side: int = 32) -> Batch:
    drawn = torch.Generator().manual_seed(seed)
    low, standard, t1 = (torch.rand(2, 1, side, side, generator=drawn) for _ in range(3))
    return Batch(
        low=low,
        standard=standard,
        t1=t1,
        has_t1=torch.ones(2, dtype=torch.bool),
        scale=torch.ones(2),
        keys=("a", "b"),
        pixel_mm=2.0,
    )


def made(data: Batch, **changes):
    torch.manual_seed(0)
    method = build(Settings(**SMALL, **changes))
    method.tune([data])
    return method.train()


def gradients(method, group: str, data: Batch) -> dict[str, float]:
    """Largest gradient of each part of the network by the loss of ``group``."""
    method.zero_grad()
    method.loss(data, group, torch.Generator()).backward()
    return {
        name: max(
            (float(each.grad.abs().max()) for each in part.parameters() if each.grad is not None),
            default=0.0,
        )
        for name, part in {
            "encoders": method.generator.encoders,
            "decoders": method.generator.decoders,
            "fusion": method.generator.fusion,
            "discriminator": method.discriminator,
        }.items()
    }


# Size


def test_it_has_exactly_the_parameters_of_the_published_code():
    groups = build(Settings()).groups()
    counts = {name: sum(each.numel() for each in group) for name, group in groups.items()}
    assert counts == Settings().published_parameters
    assert counts == {"generator": 3_872_259, "discriminator": 391_041}


# Losses


def test_the_discriminator_alone_moves_the_generator():
    found = gradients(made(images(), target_weight=0.0, input_weight=0.0), "generator", images())
    assert found["encoders"] > 0
    assert found["fusion"] > 0
    assert found["decoders"] == 0  # it judges the standard dose alone
    assert found["discriminator"] == 0


def test_each_group_moves_its_own_network_alone():
    method = made(images())
    of_generator = gradients(method, "generator", images())
    assert all(of_generator[name] > 0 for name in ("encoders", "decoders", "fusion"))
    assert of_generator["discriminator"] == 0
    of_discriminator = gradients(method, "discriminator", images())
    assert of_discriminator.pop("discriminator") > 0
    assert not any(of_discriminator.values())


def test_reconstructing_the_inputs_teaches_the_encoders_without_the_fusion():
    found = gradients(made(images(), adversarial_weight=0.0, target_weight=0.0), "generator", images())
    assert found["encoders"] > 0
    assert found["decoders"] > 0
    assert found["fusion"] == 0


def test_the_loss_is_the_weighted_sum_of_its_parts():
    data = images()
    weights = ("adversarial_weight", "target_weight", "input_weight")

    def loss(**changes) -> float:
        with torch.no_grad():
            return float(made(data, **changes).loss(data, "generator", torch.Generator()))

    nothing = dict.fromkeys(weights, 0.0)
    parts = {name: loss(**{**nothing, name: 1.0}) for name in weights}
    assert loss() == pytest.approx(
        parts["adversarial_weight"] + 100 * parts["target_weight"] + 20 * parts["input_weight"],
        rel=1e-5,
    )


def test_each_decoder_is_compared_with_its_own_image():
    """By hand, in the range of tanh: 0 is -1, the largest value is 1."""
    data = images()
    method = made(data, adversarial_weight=0.0, headroom=2.0)
    with torch.no_grad():
        made_images = method.generator(data.low, data.t1, inputs_too=True)
        found = float(method.loss(data, "generator", torch.Generator()))
    expected = sum(
        weight * (made_images[:, [number]] - (image / image.max() - 1)).abs().mean()
        for number, (weight, image) in enumerate([(100, data.standard), (20, data.low), (20, data.t1)])
    )
    assert found == pytest.approx(float(expected), rel=1e-5)


# Range


def test_hot_lesions_of_other_slices_lie_within_the_range_of_tanh():
    data = images()
    method = made(data)
    assert float(method.largest[0]) == pytest.approx(1.5 * float(data.standard.max()))
    with torch.no_grad():
        method.generator.fusion.head[-1][0].bias.fill_(20.0)  # tanh at its limit
        restored = method.eval().restore(data, [])
    assert float(restored.max()) == pytest.approx(1.5 * float(data.standard.max()), rel=1e-3)


def test_an_empty_image_is_refused():
    data = images()
    empty = Batch(
        low=data.low,
        standard=0 * data.standard,
        t1=data.t1,
        has_t1=data.has_t1,
        scale=data.scale,
        keys=data.keys,
        pixel_mm=2.0,
    )
    with pytest.raises(InputError, match="nothing to learn"):
        build(Settings(**SMALL)).tune([empty])


# Fusion


def test_a_block_fuses_sum_product_and_maximum_with_what_was_fused_before():
    block = MixedFusion(3, 5, leaky, before=2)
    seen = {}
    block.mix.register_forward_pre_hook(lambda _, inputs: seen.update(mix=inputs[0]))
    block.join.register_forward_pre_hook(lambda _, inputs: seen.update(join=inputs[0]))
    drawn = torch.Generator().manual_seed(0)
    first, second = (torch.randn(2, 3, 4, 4, generator=drawn) for _ in range(2))
    before = torch.randn(2, 2, 4, 4, generator=drawn)
    assert block(first, second, before).shape == (2, 5, 4, 4)
    larger = torch.where(first > second, first, second)
    torch.testing.assert_close(seen["mix"], torch.cat([first + second, first * second, larger], dim=1))
    assert seen["join"].shape == (2, 3 + 2, 4, 4)
    assert torch.equal(seen["join"][:, 3:], before)


@pytest.mark.parametrize("modality", [0, 1])
@pytest.mark.parametrize("level", [0, 1, 2])
def test_features_of_every_layer_of_both_modalities_reach_the_image(modality, level):
    torch.manual_seed(0)
    network = FusionNetwork(4).eval()
    widths = {0: 4, 1: 8, 2: 16}
    features = [
        [torch.rand(1, width, 16 >> number, 16 >> number) for number, width in widths.items()]
        for _ in range(2)
    ]
    with torch.no_grad():
        before = network(*features)
        features[modality][level] = features[modality][level] + 1
        assert not torch.equal(network(*features), before)


def test_restoring_needs_no_auxiliary_decoder():
    data = images()
    method = made(data).eval()
    with torch.no_grad():
        expected = method.restore(data, [])
        for parameter in method.generator.decoders.parameters():
            parameter.fill_(torch.nan)
        assert torch.equal(method.restore(data, []), expected)


def test_single_slices_are_refused_without_naming_a_key_it_has_not():
    with pytest.raises(ValueError, match=r"training\.batch_size = 1 must be 2 or more$"):
        require_batch(Settings(), 1, "methods.hinet")
    with pytest.raises(ValueError, match=r"must be 2 or more, or set normalisation: group$"):
        require_batch(UNetSettings(), 1, "methods.unet")


def test_little_activity_survives_16_bits():
    """Next to -1, where it stands, bfloat16 has steps of 1/256."""
    data = images()
    method = made(data).eval()
    for layer in method.generator.modules():
        if isinstance(layer, torch.nn.Conv2d) and layer.out_channels == 1:
            torch.nn.init.zeros_(layer.weight)
            torch.nn.init.constant_(layer.bias, -4.0)
    with torch.inference_mode():
        expected = method.restore(data, ())
        with torch.autocast("cpu", torch.bfloat16):
            found = method.restore(data, ())
    assert 0 < float(expected.max()) < 1e-3 * float(method.largest[0])
    torch.testing.assert_close(found, expected, rtol=1e-3, atol=0)
