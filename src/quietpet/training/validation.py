"""How good a method is at the moment, on slices it does not learn from."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import torch

from quietpet.data.pairs import Batch
from quietpet.methods.base import Restorer
from quietpet.methods.tuning import nmse_of_slices
from quietpet.seeds import Name, torch_generator


@dataclass(frozen=True, kw_only=True)
class HeldOut:
    """What a training is validated on: the loss on all slices, and the NMSE of some that are restored.

    The loss shows whether a method learns. It differs from method to method, and that of a diffusion
    model or of a discriminator is no error of an image, so it decides nothing.
    """

    validation: tuple[Batch, ...]
    restored: tuple[Batch, ...]
    study_seed: int
    names: tuple[Name, ...]

    @classmethod
    def on(
        cls,
        device: torch.device,
        *,
        validation: Sequence[Batch],
        restored: Sequence[Batch],
        study_seed: int,
        names: Sequence[Name],
    ) -> Self:
        """These slices on ``device``."""
        moved = (tuple(batch.to(device) for batch in batches) for batches in (validation, restored))
        return cls(
            validation=next(moved), restored=next(moved), study_seed=study_seed, names=tuple(names)
        )

    def measure(self, method: Restorer) -> tuple[float, float | None]:
        """Loss and NMSE, the same draws at every call; None where no slices are to be restored."""
        seed, names = self.study_seed, self.names
        loss = validation_loss(method, self.validation, study_seed=seed, names=names)
        if not self.restored:
            return loss, None
        return loss, restoration_nmse(method, self.restored, study_seed=seed, names=names)


def validation_loss(
    method: Restorer, batches: Sequence[Batch], *, study_seed: int, names: Sequence[Name]
) -> float:
    """Mean over slices and sum over groups of the method's validation loss, by default its loss.

    The same random draws at every call.
    """
    method.eval()
    total = 0.0
    with torch.inference_mode():
        for number, batch in enumerate(batches):
            for group in method.groups():
                generator = torch_generator(study_seed, *names, "validation", group, number)
                total += len(batch.keys) * float(method.validation_loss(batch, group, generator))
    return total / sum(len(batch.keys) for batch in batches)


def restoration_nmse(
    method: Restorer, batches: Sequence[Batch], *, study_seed: int, names: Sequence[Name]
) -> float:
    """Mean over slices of sum (x - y)^2 / sum y^2, x restored, y the standard dose: the one criterion.

    It is that of the table's ``quantitative`` NMSE, in the scale common to all methods, whatever a
    method's loss; a method that samples draws one sample per slice.

    Restored images are clipped at zero as the stage ``restore`` does; the same random draws at every
    call, seeded by slice. Infinite if a sample is not finite, which early in a training is no reason to
    end it.
    """
    method.eval()
    errors = []
    with torch.inference_mode():
        for batch in batches:
            generators = [torch_generator(study_seed, *names, "validation", key) for key in batch.keys]
            errors.append(nmse_of_slices(method.restore(batch, generators), batch.standard))
    mean = float(torch.cat(errors).mean())
    return mean if math.isfinite(mean) else math.inf
