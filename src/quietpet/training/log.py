"""The log of a training: lines and on request TensorBoard while it runs, a table when it has ended."""

from __future__ import annotations

import logging
import os
from collections.abc import Sequence
from dataclasses import asdict, fields
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from quietpet.errors import InputError
from quietpet.files.text import write_csv
from quietpet.training.checkpoint import LogRow

if TYPE_CHECKING:
    from lightning_fabric.loggers import TensorBoardLogger

logger = logging.getLogger(__name__)

TENSORBOARD_VARIABLE = "QUIETPET_TENSORBOARD"
"""Folder of all event files; those of one training lie below it, under its names."""


class TrainingLog:
    """Takes all rows of the training at each validation.

    The table is an output, and so is written when the training has ended: a workflow manager takes what
    is there when a job is interrupted for half an output.

    Raises:
        InputError: TensorBoard is wanted and not installed.
    """

    def __init__(self, table: Path, *, names: Sequence[str]) -> None:
        self._table = table
        self._reported = 0
        self._events: TensorBoardLogger | None = None
        self._open_events = None
        if root := os.environ.get(TENSORBOARD_VARIABLE):
            from lightning_fabric.loggers import TensorBoardLogger  # noqa: PLC0415 (slow, and seldom used)

            self._open_events = partial(TensorBoardLogger, root, name="", version="/".join(names))
            try:
                self._open_events()
            except ModuleNotFoundError:
                raise InputError(
                    f"{TENSORBOARD_VARIABLE} is set, but TensorBoard is not installed: pip install "
                    "tensorboard, or unset it."
                ) from None

    def finish(self, rows: Sequence[LogRow]) -> None:
        """Write the table of all rows."""
        write_csv(self._table, [field.name for field in fields(LogRow)], map(asdict, rows))

    def report(self, rows: Sequence[LogRow]) -> None:
        """Report the last row, once."""
        if not rows or rows[-1].step == self._reported:
            return
        self._reported = rows[-1].step
        quantities = {name: value for name, value in asdict(rows[-1]).items() if value is not None}
        logger.info(", ".join(f"{name} {value:.6g}" for name, value in quantities.items()))
        if self._open_events:
            step = quantities.pop("step")
            # What a training that was begun anew had written from here on is hidden.
            self._events = self._events or self._open_events(purge_step=step)
            self._events.log_metrics(quantities, step)
            self._events.save()
