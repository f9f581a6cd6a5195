"""The arithmetic of networks, counted by torch without computing any: 2 FLOP per multiply-add.

Tensors are on torch's device `meta`, which has shapes and no values; a method that must see values
restores one slice on the CPU. Convolutions and products of matrices alone are counted.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode, conv_flop_count

from quietpet.config.methods import MethodSettings
from quietpet.data.pairs import Batch
from quietpet.methods.base import Restorer
from quietpet.methods.registry import build

_META, _CPU = torch.device("meta"), torch.device("cpu")


@dataclass(frozen=True, kw_only=True)
class TrainingStep:
    """One step of a training: its arithmetic, and the activations kept for its gradients."""

    flop: float
    activation_bytes: float


@dataclass(kw_only=True)
class NetworkPart:
    """A part of a network whose calls are counted, and computed once."""

    name: str
    flop: int = 0
    evaluations: int = 0

    @property
    def gflop(self) -> float:
        """Of all evaluations."""
        return self.flop * self.evaluations / 1e9

    def count(self, module: nn.Module) -> None:
        """Replace the forward pass of ``module`` by one that is computed at its first call only."""
        forward, output = module.forward, None

        def counted(*arguments: object, **options: object) -> torch.Tensor:
            nonlocal output
            self.evaluations += 1
            if output is None:
                with _counting() as counter, _plain():
                    output = forward(*arguments, **options)
                self.flop = counter.get_total_flops()
            return output

        module.forward = counted


@functools.cache
def training_step(settings: MethodSettings, *, slices: int, pixels: int) -> TrainingStep:
    """One step, of all optimisers, on ``slices`` squares of ``pixels`` x ``pixels``."""
    method, batch = _untrained(settings).train(), _batch(slices, pixels)
    flop, most = 0, 0.0
    for group in method.groups():
        kept = _Kept()
        with (
            _counting() as counter,
            _plain(),
            torch.autograd.graph.saved_tensors_hooks(kept.keep, _given),
        ):
            method.loss(batch, group, _generator()).backward()
        flop += counter.get_total_flops()
        most = max(most, kept.bytes)
    return TrainingStep(flop=flop, activation_bytes=most)


@functools.cache
def validation_flop(settings: MethodSettings, *, pixels: int) -> float:
    """The validation loss of one slice."""
    method, batch = _untrained(settings).eval(), _batch(1, pixels)
    with torch.no_grad(), _counting() as counter, _plain():
        for group in method.groups():
            method.validation_loss(batch, group, _generator())
    return float(counter.get_total_flops())


@functools.cache
def restoration_flop(settings: MethodSettings, *, pixels: int) -> float:
    """Restoring one slice, with all its samples."""
    try:
        return _restored(settings, pixels, _META)
    except (RuntimeError, NotImplementedError):  # what is done depends on values
        return _restored(settings, pixels, _CPU)


def _restored(settings: MethodSettings, pixels: int, device: torch.device) -> float:
    method, parts = build(settings).to(device).eval(), []
    for name, module in method.named_children():
        part = NetworkPart(name=name)
        part.count(module)
        parts.append(part)
    drawn = ([_generator()] for _ in range(settings.samples))
    with torch.no_grad():
        for _ in method.samples(_batch(1, pixels, device), drawn):
            pass
    return float(sum(part.flop * part.evaluations for part in parts))


@functools.cache
def parameter_count(settings: MethodSettings) -> int:
    """How many numbers are trained."""
    return _untrained(settings).parameter_count


@dataclass(kw_only=True)
class _Kept:
    """What autograd keeps, each storage once; weights are no activations."""

    bytes: float = 0.0
    seen: set[int] = field(default_factory=set)

    def keep(self, tensor: torch.Tensor) -> torch.Tensor:
        storage = tensor.untyped_storage()
        if storage._cdata not in self.seen and not isinstance(tensor, nn.Parameter):
            self.seen.add(storage._cdata)
            self.bytes += storage.nbytes()
        return tensor


def _given(tensor: torch.Tensor) -> torch.Tensor:
    return tensor


def _counting() -> FlopCounterMode:
    return FlopCounterMode(
        display=False, custom_mapping={torch.ops.aten.convolution_backward: _convolution_backward}
    )


def _convolution_backward(
    gradient_shape: Sequence[int],
    shape: Sequence[int],
    weights_shape: Sequence[int],
    *options: Any,
    **others: Any,
) -> int:
    """As much as forward for each gradient, of what is seen and of the weights.

    torch's own count (2.13) takes a convolution of groups for one of all channels.
    """
    _, _, _, _, transposed, _, _, (of_input, of_weights, _) = options
    once = conv_flop_count(list(shape), list(weights_shape), list(gradient_shape), transposed=transposed)
    return (of_input + of_weights) * once


def _plain() -> AbstractContextManager[None]:
    # The counter does not know the fused attention of CPUs.
    return sdpa_kernel(SDPBackend.MATH)


def _untrained(settings: MethodSettings) -> Restorer:
    return build(settings.for_training()).to(_META)


def _generator() -> torch.Generator:
    return torch.Generator().manual_seed(0)


def _batch(slices: int, pixels: int, device: torch.device = _META) -> Batch:
    image = torch.ones(slices, 1, pixels, pixels, device=device)
    return Batch(
        low=image,
        standard=image,
        t1=image,
        has_t1=torch.ones(slices, dtype=torch.bool, device=device),
        scale=torch.ones(slices, device=device),
        keys=tuple(f"slice {number}" for number in range(slices)),
        pixel_mm=2.0863,
    )
