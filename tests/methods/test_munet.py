from __future__ import annotations

import pytest
import torch
from pydantic import TypeAdapter

from quietpet.config.method_kinds import AnyMethodSettings
from quietpet.data.pairs import Batch
from quietpet.methods.munet.model import EncoderDecoder, build
from quietpet.methods.munet.settings import Settings


def batch(pixels: int = 16) -> Batch:
    generator = torch.Generator().manual_seed(0)
    low, standard, t1 = (torch.rand(3, 1, pixels, pixels, generator=generator) for _ in range(3))
    return Batch(
        low=low,
        standard=standard,
        t1=t1,
        has_t1=torch.ones(3, dtype=torch.bool),
        scale=torch.ones(3),
        keys=("a", "b", "c"),
        pixel_mm=2.0,
    )


def convolution(given: int, width: int) -> int:
    """Numbers of a 3 x 3 convolution without bias and of its batch normalisation."""
    return 9 * given * width + 2 * width


@pytest.mark.parametrize(("channels", "convolutions"), [((32, 64, 128), 3), ((4, 6, 10, 12), 2)])
def test_the_number_of_parameters_is_that_of_the_layers(channels, convolutions):
    expected, given = 0, 2
    for width in channels:  # the encoder
        expected += convolution(given, width) + (convolutions - 1) * convolution(width, width)
        given = width
    expected += convolution(given, given)  # the centre
    for width in reversed(channels):  # the decoder: the level below beside the skipped features
        expected += convolution(given + width, width) + (convolutions - 1) * convolution(width, width)
        given = width
    expected += given + 1  # the output
    settings = Settings(channels=channels, convolutions=convolutions)
    with torch.device("meta"):
        assert build(settings).parameter_count == expected


def test_training_starts_at_the_low_dose_image_with_its_mean_absolute_error():
    method = build(Settings(channels=(4, 8)))
    images = batch()
    loss = method.loss(images, "network", torch.Generator())
    assert float(loss.detach()) == pytest.approx(float((images.low - images.standard).abs().mean()))
    with torch.inference_mode():
        assert torch.equal(method.eval().restore(images, []), images.low)


def test_it_sees_both_images():
    torch.manual_seed(0)
    network = EncoderDecoder((4, 8), convolutions=1).eval()
    torch.nn.init.normal_(network.output.weight)
    images = torch.rand(1, 2, 16, 16, requires_grad=True)
    network(images).sum().backward()
    assert (images.grad.abs().sum(dim=(0, 2, 3)) > 0).all()


def test_the_centre_is_a_residual_step():
    """Without what it adds, the features pass it unchanged."""
    torch.manual_seed(0)
    network = EncoderDecoder((4, 8), convolutions=1).eval()
    reached = {}
    network.centre.register_forward_hook(lambda _layer, given, _output: reached.update(below=given[0]))
    network.decoder[0].register_forward_hook(lambda _layer, given, _output: reached.update(up=given[0]))
    torch.nn.init.zeros_(network.centre[0].weight)
    network(torch.rand(1, 2, 16, 16))
    doubled = torch.nn.functional.interpolate(reached["below"], scale_factor=2, mode="bilinear")
    assert torch.equal(reached["up"][:, :8], doubled)


def test_its_rows_are_not_those_of_the_ablation():
    ablation = TypeAdapter(AnyMethodSettings).validate_python({"kind": "unet", "inputs": ["low", "t1"]})
    assert "M-UNet" in Settings().describe()
    assert "M-UNet" not in ablation.describe()
    assert Settings().kind != ablation.kind
