"""The measurements of the slices of data sets, joined to the batches of these."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from torch.utils.data import Dataset

from quietpet.acquisition.measurement import Measurement, joined
from quietpet.data.batches import ResidentBatches, StepBatches
from quietpet.data.pairs import Batch


class MeasuredSlices:
    """Sinograms in memory, joined to batches after these are loaded.

    So batches stay light while they pass between processes, and a projector is never copied.
    ``keys`` names the slices of ``measurement``, in its order.
    """

    def __init__(self, keys: Sequence[str], measurement: Measurement) -> None:
        self._row = {key: row for row, key in enumerate(keys)}
        self._measurement = measurement

    def of(self, keys: Sequence[str]) -> Measurement:
        """The measurement of the slices ``keys``, in that order."""
        return self._measurement.rows([self._row[key] for key in keys])

    def attach(self, batch: Batch) -> Batch:
        """``batch`` of whole, unmirrored slices, with the measurement of its slices on its device."""
        return replace(batch, measurement=self.of(batch.keys).to(batch.low.device))


class MeasuredBatches(Dataset[Batch]):
    """The batches of ``drawn``, of whole, unmirrored slices, with the measurements of their slices.

    ``parts`` are the keys and measurements of the data sets that are drawn from, in their order. Data
    sets of one phantom at several doses share keys, so slices are found by their rows.
    """

    def __init__(
        self,
        drawn: StepBatches | ResidentBatches,
        parts: Sequence[tuple[Sequence[str], MeasuredSlices]],
    ) -> None:
        self._drawn = drawn
        self._slices = [(slices, key) for keys, slices in parts for key in keys]

    def __getitem__(self, step: int) -> Batch:
        batch = self._drawn[step]
        found = [self._slices[row] for row in self._drawn.rows(step)]
        measurement = joined([slices.of([key]) for slices, key in found])
        return replace(batch, measurement=measurement.to(batch.low.device))
