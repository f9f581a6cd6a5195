"""The steps of a training: one batch, and what each optimiser makes of it."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import partial

import torch
from lightning_fabric import Fabric
from torch import nn

from quietpet.config.networks import TrainingSettings
from quietpet.data.pairs import Batch
from quietpet.methods.base import Restorer
from quietpet.seeds import Name, named_seed, torch_generator
from quietpet.training.checkpoint import Learner
from quietpet.training.diverged import Diverged
from quietpet.training.optimiser import learning_rate

_READ_EVERY = 50
"""Losses on a GPU are read, and found not to be finite, together: reading each would make it wait."""

_LEAST_SCALE = 2.0**-10
"""Smaller scales of a float16 loss mean that its gradients are not finite; scales start at 2**16."""


class Steps:
    """Takes the steps of ``learner`` in this process, and keeps their losses until they are forgotten.

    ``losses``: those of steps that were taken before.

    Where ``fabric`` has several processes, each takes its part of every batch and draws by that part's
    name; gradients and losses are averaged.
    """

    def __init__(
        self,
        learner: Learner,
        settings: TrainingSettings,
        fabric: Fabric,
        *,
        study_seed: int,
        names: Sequence[Name],
        losses: Sequence[float] = (),
    ) -> None:
        self._learner, self._settings, self._fabric = learner, settings, fabric
        self._study_seed, self._names = study_seed, tuple(names)
        # A batch that is not shared has no part.
        self._part = ("part", fabric.global_rank) if fabric.world_size > 1 else ()
        self._wrapped, *self._optimisers = fabric.setup(
            _Losses(learner.method), *learner.optimisers.values()
        )
        self._losses = list(losses)
        self._unread: list[tuple[int, torch.Tensor]] = []

    def take(self, step: int, loaded: Batch) -> None:
        """Step ``step`` (counted from 1), of every group in turn."""
        self._learner.method.train()
        fabric = self._fabric
        batch = loaded.part(fabric.global_rank, fabric.world_size).to(fabric.device)
        torch.manual_seed(self._seed("layers", step))  # dropout
        for group, optimiser in zip(self._learner.optimisers, self._optimisers, strict=True):
            optimiser.param_groups[0]["lr"] = learning_rate(step, self._settings)
            optimiser.zero_grad()
            draws = torch_generator(self._study_seed, *self._names, "loss", group, step, *self._part)
            loss = self._wrapped(partial(_loss, batch=batch, group=group, generator=draws))
            self._unread.append((step, loss.detach()))
            fabric.backward(loss)
            if largest := self._settings.gradient_clip:
                fabric.clip_gradients(
                    self._wrapped, optimiser, max_norm=largest, error_if_nonfinite=False
                )
            optimiser.step()
        if len(self._unread) >= _READ_EVERY:
            self._read()

    def losses(self) -> tuple[float, ...]:
        """Of each step and group, in order."""
        self._read()
        return tuple(self._losses)

    def forget(self) -> None:
        """Losses up to here."""
        self._losses.clear()

    def _seed(self, *names: Name) -> int:
        return named_seed(self._study_seed, *self._names, *names, *self._part)

    def _read(self) -> None:
        """Take the unread losses as means over the processes; all must be finite."""
        if not self._unread:
            return
        stacked = torch.stack([loss for _, loss in self._unread])
        means = torch.as_tensor(self._fabric.all_reduce(stacked, reduce_op="mean")).tolist()
        for (step, _), value in zip(self._unread, means, strict=True):
            require_finite(value, "loss", step=step, settings=self._settings)
        self._losses += means
        self._unread.clear()

    def require_taken(self, step: int) -> None:
        """With a scaled loss, gradients that overflow are only skipped: the scale tells of them.

        Raises:
            Diverged: at ``step`` they overflow whatever the scale.
        """
        scaler = self._learner.scaler
        if scaler and scaler.get_scale() < _LEAST_SCALE:
            raise Diverged(
                f"training: at step {step} the gradients overflow float16 whatever the loss is scaled "
                f"by (now {scaler.get_scale():g}). Use precision bf16-mixed or 32-true."
            )


def require_finite(value: float, what: str, *, step: int, settings: TrainingSettings) -> None:
    """Raise Diverged, which names the settings that may help."""
    if not math.isfinite(value):
        raise Diverged(
            f"training: the {what} is {value} at step {step}. Lower training.learning_rate "
            f"(now {settings.learning_rate:g}), set training.gradient_clip "
            f"(now {settings.gradient_clip}), or use precision 32-true (now {settings.precision}); "
            "a method with optimiser: published has a rate and clip of its own."
        )


class _Losses(nn.Module):
    """A method whose forward pass is a loss, which Fabric wraps in precision and gradient averaging."""

    def __init__(self, method: Restorer) -> None:
        super().__init__()
        self.method = method

    def forward(self, loss: Callable[[Restorer], torch.Tensor]) -> torch.Tensor:
        return loss(self.method)


def _loss(method: Restorer, *, batch: Batch, group: str, generator: torch.Generator) -> torch.Tensor:
    return method.loss(batch, group, generator)
