from __future__ import annotations

import pytest
import torch
from pydantic import ValidationError

from quietpet.data.pairs import Batch
from quietpet.methods.nafnet.model import NAFBlock, build
from quietpet.methods.nafnet.settings import Settings


def block(width: int) -> int:
    """Numbers of a NAFBlock as the published layers have them."""
    normalisations = 2 * 2 * width
    spatial = (
        (2 * width * width + 2 * width)  # 1 x 1, to twice the channels
        + (9 * 2 * width + 2 * width)  # 3 x 3, each channel by itself
        + 2 * (width * width + width)  # attention, and 1 x 1 from the gated half
    )
    mixing = (2 * width * width + 2 * width) + (width * width + width)
    return normalisations + spatial + mixing + 2 * width


def layers(width: int, down: tuple, middle: int, up: tuple, *, given: int, made: int) -> int:
    total = (9 * given * width + width) + (9 * width * made + made)
    for blocks in down:
        total += blocks * block(width) + (4 * width * 2 * width + 2 * width)
        width *= 2
    total += middle * block(width)
    for blocks in up:
        total += width * 2 * width
        width //= 2
        total += blocks * block(width)
    return total


PUBLISHED = {
    "SIDD": (32, (2, 2, 4, 8), 12, (2, 2, 2, 2)),
    "GoPro": (32, (1, 1, 1, 28), 1, (1, 1, 1, 1)),
    "small": (6, (1, 2), 3, (2, 1)),
}


@pytest.mark.parametrize("name", PUBLISHED)
def test_the_number_of_parameters_is_that_of_the_layers(name):
    width, down, middle, up = PUBLISHED[name]
    settings = Settings(width=width, encoder_blocks=down, middle_blocks=middle, decoder_blocks=up)
    with torch.device("meta"):
        assert build(settings).parameter_count == layers(width, down, middle, up, given=2, made=1)


def test_the_default_is_the_published_network_for_denoising_but_for_the_channels_of_its_images():
    with torch.device("meta"):
        ours = build(Settings()).parameter_count
    rgb = layers(*PUBLISHED["SIDD"], given=3, made=3)
    assert Settings().published_parameters == {"network": rgb}
    assert rgb - ours == 9 * 32 + 2 * (9 * 32 + 1)


def test_the_layers_give_the_published_size_for_deblurring():
    """17.11 million, of which Chen et al. (2022) and many after them write."""
    assert round(layers(*PUBLISHED["GoPro"], given=3, made=3) / 1e6, 2) == 17.11


def test_training_starts_at_the_low_dose_image():
    generator = torch.Generator().manual_seed(0)
    low, t1 = torch.rand(2, 1, 16, 16, generator=generator), torch.rand(2, 1, 16, 16)
    batch = Batch(
        low=low,
        standard=low,
        t1=t1,
        has_t1=torch.ones(2, dtype=torch.bool),
        scale=torch.ones(2),
        keys=("a", "b"),
        pixel_mm=2.0,
    )
    method = build(Settings(width=4, encoder_blocks=(1,), middle_blocks=1, decoder_blocks=(1,)))
    with torch.inference_mode():
        assert torch.equal(method.restore(batch, []), low)
    assert float(method.loss(batch, "network", generator).detach()) == 0


def test_a_block_is_the_published_formula():
    torch.manual_seed(0)
    width = 3
    layer = NAFBlock(width)
    for parameter in layer.parameters():
        torch.nn.init.normal_(parameter)
    features = torch.rand(2, width, 5, 5)
    numbers = dict(layer.named_parameters())

    def linear(name, images):
        weight = numbers[f"{name}.weight"][:, :, 0, 0]
        return torch.einsum("oi,siyx->soyx", weight, images) + numbers[f"{name}.bias"][:, None, None]

    def normalised(name, images):
        centred = images - images.mean(dim=1, keepdim=True)
        deviation = (centred.square().mean(dim=1, keepdim=True) + 1e-5).sqrt()
        scale, shift = (numbers[f"{name}.norm.{each}"][:, None, None] for each in ("weight", "bias"))
        return centred / deviation * scale + shift

    doubled = linear("spatial.1", normalised("spatial.0", features))
    kernel, bias = numbers["spatial.2.weight"][:, 0], numbers["spatial.2.bias"][:, None, None]
    patches = torch.nn.functional.pad(doubled, (1, 1, 1, 1)).unfold(2, 3, 1).unfold(3, 3, 1)
    seen = torch.einsum("scyxij,cij->scyx", patches, kernel) + bias
    gated = seen[:, :width] * seen[:, width:]
    attention = linear("spatial.4.weights", gated.mean(dim=(2, 3), keepdim=True))
    spatial = features + numbers["spatial_share"] * linear("spatial.5", gated * attention)
    mixed = linear("mixing.1", normalised("mixing.0", spatial))
    mixed = linear("mixing.3", mixed[:, :width] * mixed[:, width:])
    expected = spatial + numbers["mixing_share"] * mixed
    torch.testing.assert_close(layer(features), expected, rtol=1e-4, atol=1e-4)


def test_as_many_resolutions_up_as_down():
    with pytest.raises(ValidationError, match="decoder_blocks has 1 resolutions, encoder_blocks 2"):
        Settings(encoder_blocks=(1, 1), decoder_blocks=(1,))
