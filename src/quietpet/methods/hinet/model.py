"""Hi-Net: hybrid-fusion network for synthesis from several modalities (Zhou et al. 2020)."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from quietpet.data.pairs import Batch
from quietpet.errors import InputError
from quietpet.methods.blocks.adversarial import AdversarialRestorer, initialise
from quietpet.methods.hinet.networks import Discriminator, Generator
from quietpet.methods.hinet.settings import Settings


class HiNet(AdversarialRestorer):
    """The standard dose, made from features of low-dose image and T1 that are fused at each layer.

    Networks make images within (-1, 1), the range of tanh: -1 stands for 0, and 1 for the number of the
    buffer ``largest`` for standard dose, low dose and T1.
    """

    largest: torch.Tensor

    def __init__(self, settings: Settings) -> None:
        super().__init__()
        self._settings = settings
        self.generator = Generator(settings.channels)
        self.discriminator = Discriminator(settings.discriminator_channels)
        initialise(self)
        self.register_buffer("largest", torch.ones(3))

    def tune(self, validation: Sequence[Batch]) -> None:
        """Let tanh reach ``headroom`` times the largest values of the validation slices."""
        found = torch.stack([_images(batch).amax(dim=(0, 2, 3)) for batch in validation]).amax(dim=0)
        if not (found > 0).all():
            raise InputError("validation: low dose, standard dose or T1 is empty; nothing to learn.")
        self.largest.copy_(self._settings.headroom * found)

    def restore(self, batch: Batch, generators: Sequence[torch.Generator]) -> torch.Tensor:
        return self.largest[0] * (self.generator(batch.low, batch.t1) + 1) / 2

    def _generated(self, batch: Batch) -> torch.Tensor:
        """Standard dose, low dose and T1 as the three decoders make them."""
        return self.generator(batch.low, batch.t1, inputs_too=True)

    def _wanted(self, batch: Batch) -> torch.Tensor:
        return 2 * _images(batch) / self.largest.view(3, 1, 1) - 1

    def _shown(self, batch: Batch, images: torch.Tensor) -> torch.Tensor:
        """The standard dose alone."""
        return images[:, :1]

    def _deception(
        self, batch: Batch, generated: torch.Tensor, generator: torch.Generator
    ) -> torch.Tensor:
        return self._settings.adversarial_weight * super()._deception(batch, generated, generator)

    def _distance(self, batch: Batch, generated: torch.Tensor) -> torch.Tensor:
        """Weighted mean absolute differences of the three images."""
        standard, *inputs = (generated - self._wanted(batch)).abs().mean(dim=(0, 2, 3))
        return self._settings.target_weight * standard + self._settings.input_weight * sum(inputs)


def _images(batch: Batch) -> torch.Tensor:
    """Standard dose, low dose and T1 (slice, 3, y, x)."""
    return torch.cat([batch.standard, batch.low, batch.t1], dim=1)


def build(settings: Settings) -> HiNet:
    """The untrained network."""
    return HiNet(settings)
