"""The identity: the low-dose image is its own restoration."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import nn

from quietpet.data.pairs import Batch
from quietpet.methods.base import Restorer
from quietpet.methods.lpet.settings import Settings


class Identity(Restorer):
    """Returns the low-dose image."""

    def groups(self) -> Mapping[str, list[nn.Parameter]]:
        return {}

    def loss(self, batch: Batch, group: str, generator: torch.Generator) -> torch.Tensor:
        raise TypeError("the identity is not trained")

    def restore(self, batch: Batch, generators: Sequence[torch.Generator]) -> torch.Tensor:
        return batch.low


def build(settings: Settings) -> Identity:
    """The identity method."""
    return Identity()
