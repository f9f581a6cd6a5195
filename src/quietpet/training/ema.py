"""Running average of a method's weights over the training steps.

How far an update goes is a function of the step alone, so the averaged tensors are its whole state.
"""

from __future__ import annotations

import copy

import numpy as np
import torch

from quietpet.config.networks import EmaSettings
from quietpet.methods.base import Restorer


class Average:
    """A second method, ``method``, that holds the average of the weights of ``followed``.

    Floating-point buffers are averaged too, so that running statistics of normalisations fit the
    averaged weights; counters are copied. ``followed`` must stay where it is: on its device, in its
    memory format.
    """

    def __init__(self, followed: Restorer, settings: EmaSettings) -> None:
        self.method = copy.deepcopy(followed).requires_grad_(False)
        self._settings = settings
        # Gathered once: walking through the modules of a large network takes 10 ms, at every step.
        averaged, current = self.method.state_dict(), followed.state_dict()
        smooth = [name for name, tensor in averaged.items() if tensor.is_floating_point()]
        self._old, self._new = ([tensors[name] for name in smooth] for tensors in (averaged, current))
        self._counters = [(averaged[name], current[name]) for name in averaged.keys() - smooth]

    @torch.no_grad()
    def update(self, step: int) -> None:
        """Take in the weights of the method followed after ``step`` (counted from 1)."""
        # One fused kernel for all tensors, as torch.optim.swa_utils does it.
        torch._foreach_lerp_(self._old, self._new, share_of_newest(step, self._settings))
        for averaged, current in self._counters:
            averaged.copy_(current)


def share_of_newest(step: int, settings: EmaSettings) -> float:
    """Share of the weights after ``step`` (counted from 1) in the average after it.

    Power: 1 - beta, beta = (1 - 1/t)**(gamma + 1) (Karras et al., "Analyzing and improving the training
    dynamics of diffusion models", CVPR 2024, section 3.1). Exponential: 1 - beta, beta = min(decay,
    (1 + t) / (10 + t)), the start-up of TensorFlow's ExponentialMovingAverage, but 0 at the first step.
    """
    if settings.profile == "power":
        return 1 - (1 - 1 / step) ** (power_exponent(settings.relative_width) + 1)
    return 1.0 if step == 1 else 1 - min(settings.decay, (1 + step) / (10 + step))


def power_exponent(relative_width: float) -> float:
    """The gamma whose profile t**gamma on [0, 1] has the standard deviation ``relative_width``.

    Largest real root of the cubic that sigma_rel = sqrt(gamma + 1) / ((gamma + 2) sqrt(gamma + 3))
    amounts to (ibid.).
    """
    inverse = relative_width**-2
    return float(np.roots([1, 7, 16 - inverse, 12 - inverse]).real.max())
