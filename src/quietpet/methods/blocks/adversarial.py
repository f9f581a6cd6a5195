"""What methods with a discriminator have in common: whose loss moves what, and what validation is."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import torch
from torch import nn

from quietpet.data.pairs import Batch
from quietpet.methods.base import Restorer

DISCRIMINATOR, GENERATOR = "discriminator", "generator"


class AdversarialRestorer(Restorer):
    """A generator, and a discriminator that learns to tell its images from standard-dose ones.

    Subclasses set the two networks. At each step the discriminator learns first, then the generator
    against it; the loss of each has no gradient in the parameters of the other. What the discriminator
    says is compared by least squares (Mao et al., ICCV 2017).
    """

    generator: nn.Module
    discriminator: nn.Module

    def groups(self) -> Mapping[str, list[nn.Parameter]]:
        return {
            DISCRIMINATOR: list(self.discriminator.parameters()),
            GENERATOR: list(self.generator.parameters()),
        }

    def loss(self, batch: Batch, group: str, generator: torch.Generator) -> torch.Tensor:
        if group == DISCRIMINATOR:
            with torch.no_grad():
                generated = self._generated(batch)
            return self._discriminator_loss(batch, generated, generator)
        generated = self._generated(batch)
        with frozen(self.discriminator):
            deceived = self._deception(batch, generated, generator)
        return deceived + self._distance(batch, generated)

    def validation_loss(self, batch: Batch, group: str, generator: torch.Generator) -> torch.Tensor:
        """Mean squared error of the restored image.

        What a discriminator thinks of it depends on how far the discriminator is, and tells nothing
        about which weights restore best.
        """
        if group == DISCRIMINATOR:
            return batch.low.new_zeros(())
        return nn.functional.mse_loss(self.restore(batch, ()), batch.standard)

    @abstractmethod
    def _generated(self, batch: Batch) -> torch.Tensor:
        """Output of the generator, (slice, channel, y, x)."""

    @abstractmethod
    def _wanted(self, batch: Batch) -> torch.Tensor:
        """What the generator should have made, of the same shape."""

    @abstractmethod
    def _shown(self, batch: Batch, images: torch.Tensor) -> torch.Tensor:
        """What the discriminator sees of images of the generator's shape, (slice, channel, y, x)."""

    @abstractmethod
    def _distance(self, batch: Batch, generated: torch.Tensor) -> torch.Tensor:
        """The part of the generator's loss that needs no discriminator, a scalar."""

    def _labels(self, generator: torch.Generator) -> tuple[float, float]:
        """What the discriminator should say of generated and of wanted images."""
        return 0.0, 1.0

    def _discriminator_loss(
        self, batch: Batch, generated: torch.Tensor, generator: torch.Generator
    ) -> torch.Tensor:
        false, true = self._labels(generator)
        of_generated = least_squares(self.discriminator(self._shown(batch, generated)), false)
        of_wanted = least_squares(self.discriminator(self._shown(batch, self._wanted(batch))), true)
        return (of_generated + of_wanted) / 2

    def _deception(
        self, batch: Batch, generated: torch.Tensor, generator: torch.Generator
    ) -> torch.Tensor:
        """How far the discriminator is from taking generated images for wanted ones."""
        _, true = self._labels(generator)
        return least_squares(self.discriminator(self._shown(batch, generated)), true)


def least_squares(judgements: torch.Tensor, label: float) -> torch.Tensor:
    """Mean squared difference of a discriminator's ``judgements`` to the ``label``."""
    return (judgements - label).square().mean()


@contextmanager
def frozen(module: nn.Module) -> Iterator[None]:
    """Within, gradients pass through ``module`` but none is computed for its parameters."""
    learning = [parameter for parameter in module.parameters() if parameter.requires_grad]
    module.requires_grad_(False)
    try:
        yield
    finally:
        for parameter in learning:
            parameter.requires_grad_(True)


def initialise(network: nn.Module) -> None:
    """Initial weights of pix2pix: N(0, 0.02) of convolutions, N(1, 0.02) of batch norms, biases 0."""
    for module in network.modules():
        if isinstance(module, nn.Conv2d | nn.ConvTranspose2d):
            nn.init.normal_(module.weight, 0.0, 0.02)
        elif isinstance(module, nn.BatchNorm2d):
            nn.init.normal_(module.weight, 1.0, 0.02)
        else:
            continue
        if module.bias is not None:
            nn.init.zeros_(module.bias)
