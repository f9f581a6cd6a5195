"""How fast a training runs and what it occupies."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import torch

from quietpet.data.pairs import Batch
from quietpet.usage import peak_resident_mib


@dataclass(frozen=True, kw_only=True)
class Throughput:
    """Since the count began; the memory is the peak since the process did."""

    iterations_per_s: float
    slices_per_s: float
    waiting: float
    """Fraction of the time spent waiting for batches."""
    memory_mib: float
    """Of the GPU if the training runs on one, else of the process."""
    gpu_percent: float | None
    """Time in which the GPU worked, of the last second (NVML); None without GPU or nvidia-ml-py."""


class Meter:
    """Counts steps and slices since it was made, and times the waits for them."""

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self.restart()

    def restart(self) -> None:
        """Count from here on."""
        self._began = time.monotonic()
        self._waited_s = 0.0
        self._steps = self._slices = 0

    def watch(self, batches: Iterable[Batch]) -> Iterator[Batch]:
        """Pass ``batches`` through, one per step."""
        iterator = iter(batches)
        while True:
            asked = time.monotonic()
            try:
                batch = next(iterator)
            except StopIteration:
                return
            self._waited_s += time.monotonic() - asked
            self._steps += 1
            self._slices += len(batch.keys)
            yield batch

    def read(self) -> Throughput:
        """At the end of a step whose result has arrived on the CPU."""
        elapsed_s = time.monotonic() - self._began
        return Throughput(
            iterations_per_s=self._steps / elapsed_s,
            slices_per_s=self._slices / elapsed_s,
            waiting=self._waited_s / elapsed_s,
            memory_mib=peak_memory_mib(self._device),
            gpu_percent=gpu_percent(self._device),
        )


def peak_memory_mib(device: torch.device) -> float:
    """Largest memory in use so far: allocated on a GPU, or resident in this process on the CPU [MiB]."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device) / 2**20
    return peak_resident_mib()


def gpu_percent(device: torch.device) -> float | None:
    """Per cent of the last second in which the GPU worked, if it can be known."""
    # Needs nvidia-ml-py and a driver that answers; a measurement must not end a training.
    with contextlib.suppress(Exception):
        return float(torch.cuda.utilization(device)) if device.type == "cuda" else None
    return None
