"""SIGTERM while a training runs: it ends after the step under way, with a state to go on from.

Batch systems send the signal some seconds before they take a machine away.
"""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from threading import current_thread, main_thread
from types import FrameType
from typing import Self

import torch
from lightning_fabric import Fabric

_AGREED_EVERY = 50
"""Steps after which several processes ask each other for a signal: asking makes GPUs wait."""


class Terminated(SystemExit):
    """SIGTERM ends the training; the exit status is that of any command which it ends."""

    def __init__(self) -> None:
        super().__init__(128 + signal.SIGTERM)


class Termination:
    """Notes SIGTERM within its context, in place of what it did before.

    Several processes must end at the same step, as each waits for the gradients of the others, and
    batch systems may signal one of them or all.
    """

    def __init__(self, fabric: Fabric) -> None:
        self._fabric = fabric
        self._noted = self._idle = False
        # Signals can be handled in the main thread alone.
        self._handles = current_thread() is main_thread()

    def __enter__(self) -> Self:
        if self._handles:
            self._before = signal.signal(signal.SIGTERM, self._note)
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if self._handles:
            signal.signal(signal.SIGTERM, self._before)
        # It came too late to be asked for; other processes have nothing left to do.
        if self._noted and kind is None and self._fabric.is_global_zero:
            raise Terminated

    def asked(self, step: int) -> bool:
        """Whether to end after ``step``, the same in all processes."""
        fabric = self._fabric
        if fabric.world_size == 1:
            return self._noted
        if step % _AGREED_EVERY:
            return False
        noted = torch.tensor(float(self._noted), device=fabric.device)
        return bool(torch.as_tensor(fabric.all_reduce(noted, reduce_op="max")) > 0)

    @contextmanager
    def at_once(self) -> Iterator[None]:
        """For long work that changes nothing of the state: SIGTERM breaks it off.

        Not of several processes, which wait for each other at its end.

        Raises:
            Terminated: the signal came.
        """
        self._idle = self._fabric.world_size == 1
        try:
            if self._idle and self._noted:
                raise Terminated
            yield
        finally:
            self._idle = False

    def _note(self, _number: int, _frame: FrameType | None) -> None:
        self._noted = True
        if self._idle:
            raise Terminated


def leave_to_the_trainer(_worker: int) -> None:
    """Begin a process that prepares batches: SIGTERM to all must not end it before the training."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
