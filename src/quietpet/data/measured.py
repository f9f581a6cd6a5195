"""The measurements of a data set's slices, found by the slices' keys."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from quietpet.acquisition.measurement import Measurement
from quietpet.data.pairs import Batch


class MeasuredSlices:
    """Sinograms in memory, joined to batches after these are loaded.

    So batches stay light while they pass between processes, and a projector is never copied.
    ``keys`` names the slices of ``measurement``, in its order.
    """

    def __init__(self, keys: Sequence[str], measurement: Measurement) -> None:
        self._row = {key: row for row, key in enumerate(keys)}
        self._measurement = measurement

    def attach(self, batch: Batch) -> Batch:
        """``batch`` of whole, unmirrored slices, with the measurement of its slices on its device."""
        measurement = self._measurement.rows([self._row[key] for key in batch.keys])
        return replace(batch, measurement=measurement.to(batch.low.device))
