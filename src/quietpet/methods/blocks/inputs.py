"""The images of a batch that a network sees, by its settings."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch

from quietpet.config.inputs import Input
from quietpet.data.pairs import Batch


def seen(
    batch: Batch,
    inputs: Sequence[Input],
    *,
    scaled: Callable[[torch.Tensor], torch.Tensor] = lambda images: images,
) -> tuple[torch.Tensor, ...]:
    """The images (slice, 1, y, x) called ``inputs``, in that order, each as ``scaled`` makes it."""
    named = {"low": batch.low, "t1": batch.t1}
    return tuple(scaled(named[name]) for name in inputs)
