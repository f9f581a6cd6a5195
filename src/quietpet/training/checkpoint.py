"""The state of an unfinished training, so that an interrupted one goes on where it was.

Random draws and the order of the slices are seeded by step, so networks, optimisers, loss scale, step,
log and the losses that it does not have yet are the whole state.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

import torch
from torch.optim import Optimizer

from quietpet.errors import CHECKPOINT, InputError
from quietpet.files.tensors import (
    Tensors,
    read_tensors,
    require_same_network,
    write_tensors,
)
from quietpet.methods.base import Restorer
from quietpet.training.throughput import Span


@dataclass(frozen=True, kw_only=True)
class LogRow:
    """One line of the training log, written at each validation."""

    step: int
    loss: float
    """Mean training loss since the row before."""
    validation: float
    """Validation loss."""
    nmse: float | None
    """NMSE of the restored validation slices; None where the last weights are kept."""
    learning_rate: float
    iterations_per_s: float
    slices_per_s: float
    waiting: float
    memory_mib: float
    gpu_percent: float | None
    """This and the four before: see :class:`quietpet.training.throughput.Throughput`."""


@dataclass(frozen=True, kw_only=True)
class Learner:
    """All that a training step changes.

    ``average`` is the method with averaged weights, if there are any; ``scaler`` scales a float16 loss.
    """

    method: Restorer
    optimisers: Mapping[str, Optimizer]
    average: Restorer | None = None
    scaler: torch.amp.GradScaler | None = None

    @property
    def result(self) -> Restorer:
        """The method that is validated and kept."""
        return self.average or self.method

    def methods(self) -> Mapping[str, Restorer]:
        """The methods by their name in a checkpoint."""
        return {"model": self.method, **({"average": self.average} if self.average else {})}

    @property
    def finite(self) -> bool:
        """Whether all values of the methods are."""
        return all(
            bool(torch.isfinite(tensor).all())
            for method in self.methods().values()
            for tensor in method.state_dict().values()
        )


@dataclass(frozen=True, kw_only=True)
class Since:
    """The steps since the last validation: their losses, one for each group, and what they took."""

    losses: tuple[float, ...] = ()
    span: Span = field(default_factory=Span)

    @property
    def mean_loss(self) -> float:
        return sum(self.losses) / len(self.losses)


@dataclass(frozen=True, kw_only=True)
class Progress:
    """Where a training stands: its log, the tensors of the best validation so far, the steps since."""

    rows: tuple[LogRow, ...]
    best: Tensors
    since: Since = field(default_factory=Since)

    @property
    def step(self) -> int:
        return (self.rows[-1].step if self.rows else 0) + self.since.span.steps

    def followed_by(self, row: LogRow, method: Restorer) -> Progress:
        """Progress with one more validation, that of ``method``."""
        rows = (*self.rows, row)
        return Progress(rows=rows, best=snapshot(method) if kept(rows) is row else self.best)


def kept(rows: Sequence[LogRow]) -> LogRow:
    """The validation whose weights are kept: the first of the least NMSE; without any, the last."""
    last = rows[-1]
    if last.nmse is None:
        return last
    return min(rows, key=lambda row: math.inf if row.nmse is None else row.nmse)


class Checkpoint:
    """The checkpoint file of one job, beside its weights.

    ``digest`` names the job's settings, code and data; it is part of the file name, so a checkpoint of
    another job is never found. ``remove`` clears all checkpoints of these weights, stale ones included.
    """

    def __init__(self, weights: Path, *, digest: str) -> None:
        self._prefix = f".{weights.name}{CHECKPOINT}"
        self.digest = digest
        self.path = weights.with_name(f"{self._prefix}{digest}.safetensors")

    def save(self, learner: Learner, progress: Progress) -> None:
        """Write the whole state, replacing the checkpoint before."""
        tensors = _prefixed("best", progress.best)
        for name, method in learner.methods().items():
            tensors |= _prefixed(name, method.state_dict())
        for group, optimiser in learner.optimisers.items():
            tensors |= _moments(group, optimiser)
        record = {
            "digest": self.digest,
            "rows": [asdict(row) for row in progress.rows],
            "since": asdict(progress.since),
            "scaler": learner.scaler.state_dict() if learner.scaler else None,
        }
        write_tensors(self.path, tensors, record)
        self._delete(f".{self._prefix}")  # left by a training that was killed while it wrote

    def resume(self, learner: Learner) -> Progress:
        """Put the saved state, if there is one, into ``learner``.

        Raises:
            InputError: the file belongs to other settings or another network; nothing was changed.
        """
        if not self.path.is_file():
            return Progress(rows=(), best={})
        tensors, record = read_tensors(self.path)
        if record.get("digest") != self.digest:
            raise InputError(
                f"{self.path}: made with other settings, code or data. "
                "Move it away and run the same command again."
            )
        for name, method in learner.methods().items():
            require_same_network(_below(name, tensors), method.state_dict(), path=self.path)
        for name, method in learner.methods().items():
            method.load_state_dict(_below(name, tensors))
        for group, optimiser in learner.optimisers.items():
            _load_moments(_below(f"optimiser.{group}", tensors), optimiser)
        if learner.scaler:
            learner.scaler.load_state_dict(record["scaler"])
        losses, span = record["since"]["losses"], record["since"]["span"]
        return Progress(
            rows=tuple(LogRow(**row) for row in record["rows"]),
            best=_below("best", tensors),
            since=Since(losses=tuple(losses), span=Span(**span)),
        )

    def remove(self) -> None:
        """Delete every checkpoint of these weights."""
        self._delete(self._prefix, f".{self._prefix}")

    def _delete(self, *prefixes: str) -> None:
        for path in self.path.parent.iterdir():
            if path.name.startswith(prefixes):
                path.unlink()


def snapshot(method: Restorer) -> Tensors:
    """A copy of the method's parameters and buffers, on the CPU."""
    return {name: tensor.detach().cpu().clone() for name, tensor in method.state_dict().items()}


def _prefixed(prefix: str, tensors: Mapping[str, torch.Tensor]) -> Tensors:
    return {f"{prefix}.{name}": tensor for name, tensor in tensors.items()}


def _below(prefix: str, tensors: Mapping[str, torch.Tensor]) -> Tensors:
    start = f"{prefix}."
    return {name.removeprefix(start): value for name, value in tensors.items() if name.startswith(start)}


def _moments(group: str, optimiser: Optimizer) -> Tensors:
    """Adam's step and moments, named ``optimiser.<group>.<parameter number>.<quantity>``."""
    state = optimiser.state_dict()["state"]
    return {
        f"optimiser.{group}.{number}.{quantity}": value
        for number, quantities in state.items()
        for quantity, value in quantities.items()
    }


def _load_moments(tensors: Tensors, optimiser: Optimizer) -> None:
    parameters = [each for group in optimiser.param_groups for each in group["params"]]
    state: dict[int, Tensors] = {}
    for name, value in tensors.items():
        number, quantity = name.split(".")
        state.setdefault(int(number), {})[quantity] = _laid_out_as(parameters[int(number)], value)
    optimiser.load_state_dict({**optimiser.state_dict(), "state": state})


def _laid_out_as(parameter: torch.Tensor, value: torch.Tensor) -> torch.Tensor:
    """``value`` in the memory order of its parameter: fused optimisers walk along both as they lie."""
    if value.shape != parameter.shape:
        return value  # the number of steps
    return torch.empty_like(parameter, dtype=value.dtype).copy_(value)
