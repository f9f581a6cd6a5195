"""Arithmetic of networks that nothing computed, beside what torch counts where it is computed."""

from __future__ import annotations

import networks as benchmark
import pytest

from quietpet.forecast.networks import restoration_flop, training_step, validation_flop
from quietpet.methods.nafnet.settings import Settings as NAFNet
from quietpet.methods.unet.settings import Settings as UNet
from quietpet.study.reading import load_study, read_yaml

SIDE = 32


@pytest.fixture(scope="module")
def networks(repository):
    study = load_study(read_yaml(repository / "config.yaml"), origin="config.yaml")
    return {name: each for name, each in study.methods.items() if each.trained and not each.reconstructs}


def test_a_slice_restored_without_computing_is_that_which_is_computed(networks):
    assert len(networks) > 8
    for name, settings in networks.items():
        computed = sum(part.gflop for part in benchmark.parts(settings, pixels=SIDE))
        assert restoration_flop(settings, pixels=SIDE) / 1e9 == pytest.approx(computed), name


def test_gradients_cost_twice_the_loss_but_for_those_of_the_input():
    """Of each convolution one product for its weights and one for what it sees; the first sees data."""
    settings = UNet(inputs=["low"], features=[8, 8, 16, 16, 16, 8])
    forward = 4 * validation_flop(settings, pixels=SIDE)
    first = 2 * 9 * 8 * 4 * SIDE**2
    assert training_step(settings, slices=4, pixels=SIDE).flop == pytest.approx(3 * forward - first)


def test_convolutions_grow_with_the_pixels_and_the_batch():
    settings = NAFNet(width=8, encoder_blocks=[1], middle_blocks=1, decoder_blocks=[1])
    small, large = (training_step(settings, slices=2, pixels=each) for each in (SIDE, 2 * SIDE))
    assert large.flop / small.flop == pytest.approx(4, rel=0.01)  # but for weights of whole images
    twice = training_step(settings, slices=4, pixels=SIDE)
    assert twice.flop == pytest.approx(2 * small.flop)
    assert twice.activation_bytes == pytest.approx(2 * small.activation_bytes, rel=0.01)


def test_both_optimisers_of_a_method_with_a_discriminator_are_counted(networks):
    settings = networks["cncl"]
    step = training_step(settings.for_training(), slices=2, pixels=SIDE)
    assert step.flop > 6 * restoration_flop(settings, pixels=SIDE)  # three times that of a slice, of two
