"""What a diffusion network predicts: the training target, and the estimate of x_0 it stands for."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

import torch

from quietpet.config.diffusion import Prediction
from quietpet.diffusion.schedule import Level


@dataclass(frozen=True, kw_only=True)
class Parametrisation:
    """Two functions of images (slice, 1, y, x) and of their level.

    ``target(clean, noise, level)``: what the network is to predict; ``clean(predicted, noisy, level)``:
    the x_0 that a prediction stands for.
    """

    target: Callable[[torch.Tensor, torch.Tensor, Level], torch.Tensor]
    clean: Callable[[torch.Tensor, torch.Tensor, Level], torch.Tensor]


PARAMETRISATIONS: Mapping[Prediction, Parametrisation] = MappingProxyType(
    {
        # The error of x_0 is that of the noise over the signal: Schedule.start bounds it.
        "epsilon": Parametrisation(
            target=lambda clean, noise, level: noise,
            clean=lambda predicted, noisy, level: (noisy - level.spread * predicted) / level.signal,
        ),
        "x0": Parametrisation(
            target=lambda clean, noise, level: clean,
            clean=lambda predicted, noisy, level: predicted,
        ),
        # Salimans & Ho (2022), section 4 and appendix D; bounded at every level.
        "v": Parametrisation(
            target=lambda clean, noise, level: level.signal * noise - level.spread * clean,
            clean=lambda predicted, noisy, level: level.signal * noisy - level.spread * predicted,
        ),
    }
)
"""Parametrisations by their name in the settings."""
