"""How good a method is at the moment, on slices it does not learn from."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch

from quietpet.data.pairs import Batch
from quietpet.methods.base import Restorer
from quietpet.seeds import Name, torch_generator


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
    """Mean over slices of sum (x - y)^2 / sum y^2, x restored, y the standard dose.

    Restored images are clipped at zero as the stage ``restore`` does; the same random draws at every
    call, seeded by slice. Infinite if a sample is not finite, which early in a training is no reason to
    end it.
    """
    method.eval()
    errors = []
    with torch.inference_mode():
        for batch in batches:
            generators = [torch_generator(study_seed, *names, "validation", key) for key in batch.keys]
            restored = method.restore(batch, generators).clamp(min=0)
            difference, energy = (
                images.float().square().sum(dim=(1, 2, 3))
                for images in (restored - batch.standard, batch.standard)
            )
            errors.append((difference / energy).cpu())
    mean = float(torch.cat(errors).mean())
    return mean if math.isfinite(mean) else math.inf
