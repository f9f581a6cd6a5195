"""What every method with a discriminator must do, beside the contract of all methods."""

from __future__ import annotations

import pytest
import torch
from monai.networks.nets.patchgan_discriminator import PatchDiscriminator as MonaiDiscriminator
from noisy_batch import noisy_batch
from torch import nn

from quietpet.methods.blocks.adversarial import AdversarialRestorer, frozen
from quietpet.methods.blocks.patch_discriminator import PatchDiscriminator
from quietpet.training.validation import validation_loss


class Scaled(AdversarialRestorer):
    """Multiplies the low dose by a number; the discriminator judges each pixel by a line."""

    def __init__(self, factor=0.5, weight=0.0):
        super().__init__()
        self.generator = nn.Conv2d(1, 1, 1, bias=False)
        self.discriminator = nn.Conv2d(1, 1, 1)
        nn.init.constant_(self.generator.weight, factor)
        nn.init.constant_(self.discriminator.weight, 2.0)
        nn.init.constant_(self.discriminator.bias, 0.25)
        self._weight = weight

    def restore(self, batch, generators):
        return self._generated(batch)

    def _generated(self, batch):
        return self.generator(batch.low)

    def _wanted(self, batch):
        return batch.standard

    def _shown(self, batch, images):
        return images

    def _distance(self, batch, generated):
        return self._weight * (generated - batch.standard).abs().mean()


@pytest.fixture
def batch():
    return noisy_batch(pixels=8)


def test_the_losses_are_least_squares(batch):
    """D(x) = 2 x + 1/4, G(x) = x / 2: by hand."""
    method, draws = Scaled(weight=3.0), torch.Generator()
    judged_generated, judged_wanted = batch.low + 0.25, 2 * batch.standard + 0.25
    expected = (judged_generated.square().mean() + (judged_wanted - 1).square().mean()) / 2
    torch.testing.assert_close(method.loss(batch, "discriminator", draws), expected)
    deception = (judged_generated - 1).square().mean()
    expected = deception + 3 * (0.5 * batch.low - batch.standard).abs().mean()
    torch.testing.assert_close(method.loss(batch, "generator", draws), expected)


@pytest.mark.parametrize("group", ["discriminator", "generator"])
def test_each_loss_has_a_gradient_in_its_own_group_alone(batch, group):
    method = Scaled()
    method.loss(batch, group, torch.Generator()).backward()
    for name, parameters in method.groups().items():
        assert all((parameter.grad is not None) == (name == group) for parameter in parameters)
        assert all(parameter.requires_grad for parameter in parameters)


def test_the_validation_loss_is_the_error_of_restoring_whatever_the_discriminator_thinks(batch):
    method = Scaled(factor=0.5)

    def found():
        return validation_loss(method, [batch], study_seed=1, names=("a",))

    expected = float((0.5 * batch.low - batch.standard).square().mean())
    assert found() == pytest.approx(expected, rel=1e-6)
    nn.init.constant_(method.discriminator.bias, 100.0)
    assert found() == pytest.approx(expected, rel=1e-6)


def test_frozen_parameters_learn_again_unless_they_never_did():
    module = nn.Linear(2, 1)
    module.bias.requires_grad_(False)
    with frozen(module):
        assert not any(parameter.requires_grad for parameter in module.parameters())
    assert module.weight.requires_grad
    assert not module.bias.requires_grad


def test_the_patch_discriminator_is_that_of_pix2pix():
    """Against MONAI's with the same weights: three strides of 2, two of 1, all of 4 x 4."""
    ours = PatchDiscriminator(
        4, (64, 128, 256, 512), strides=(2, 2, 2, 1), kernel_size=4, padding=2,
        normalisation=nn.BatchNorm2d, last=nn.Conv2d(512, 1, 4, 1, 1),
    )  # fmt: skip
    reference = MonaiDiscriminator(
        spatial_dims=2, channels=64, in_channels=4, num_layers_d=3, bias=True, padding=2
    )
    tensors = list(ours.state_dict().values())
    names = list(reference.state_dict())
    reference.load_state_dict(dict(zip(names, tensors, strict=True)))
    images = torch.rand(2, 4, 64, 64, generator=torch.Generator().manual_seed(1))
    torch.testing.assert_close(ours(images), reference(images)[-1])
