"""What every restoration method is: the contract between methods, the training loop and the stages."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping, Sequence

import torch
from torch import nn

from quietpet.data.pairs import Batch


class Restorer(nn.Module, ABC):
    """A method that turns low-dose slices into restored ones.

    All images are scaled as in :class:`Batch`. One loop (``training/loop.py``) trains whatever has
    parameter groups; a method without any is a filter and is only tuned. A method whose settings say
    that it ``reconstructs`` finds the sinograms of its slices in ``batch.measured()``.
    """

    @abstractmethod
    def groups(self) -> Mapping[str, list[nn.Parameter]]:
        """Parameters by optimiser, stepped in this order; empty for filters."""

    @abstractmethod
    def loss(self, batch: Batch, group: str, generator: torch.Generator) -> torch.Tensor:
        """Scalar loss that ``group`` minimises on ``batch``; all randomness from ``generator``."""

    def validation_loss(self, batch: Batch, group: str, generator: torch.Generator) -> torch.Tensor:
        """Scalar share of ``group`` in the validation loss, that of ``loss`` by default.

        To be overridden where ``loss`` does not measure how well slices are restored.
        """
        return self.loss(batch, group, generator)

    @abstractmethod
    def restore(self, batch: Batch, generators: Sequence[torch.Generator]) -> torch.Tensor:
        """Restored images (slice, 1, y, x); slice ``i`` draws from ``generators[i]`` only."""

    def samples(
        self, batch: Batch, generators: Iterable[Sequence[torch.Generator]]
    ) -> Iterator[torch.Tensor]:
        """Restorations of ``batch`` one after the other, each from one of the sets of generators.

        To be overridden where several samples have work in common.
        """
        for each in generators:
            yield self.restore(batch, each)

    @property
    def parameter_count(self) -> int:
        """How many numbers are trained; 0 for filters."""
        return sum(each.numel() for group in self.groups().values() for each in group)

    def tune(self, validation: Sequence[Batch]) -> None:
        """Choose numbers that are not trained by gradient on the validation slices; none by default."""

    def begin(self, validation: Sequence[Batch], start: Restorer | None = None) -> None:
        """Take all numbers of ``start``, or without it tune on ``validation``: before any training."""
        if start is None:
            self.tune(validation)
        else:
            self.load_state_dict(start.state_dict())
