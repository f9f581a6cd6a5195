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


@dataclass(frozen=True, kw_only=True)
class Span:
    """A part of a training: its seconds, those of waiting for batches, its steps and slices."""

    elapsed_s: float = 0.0
    waited_s: float = 0.0
    steps: int = 0
    slices: int = 0

    def throughput(self, device: torch.device) -> Throughput:
        """At its end, when the result of the last step has arrived on the CPU."""
        return Throughput(
            iterations_per_s=self.steps / self.elapsed_s,
            slices_per_s=self.slices / self.elapsed_s,
            waiting=self.waited_s / self.elapsed_s,
            memory_mib=peak_memory_mib(device),
            gpu_percent=gpu_percent(device),
        )


NOTHING_YET = Span()


class Meter:
    """Counts steps and slices, and times the waits for them, on top of what ``before`` has counted."""

    def __init__(self, before: Span = NOTHING_YET) -> None:
        self.restart(before)

    def restart(self, before: Span = NOTHING_YET) -> None:
        """Count from here on."""
        self._began = time.monotonic() - before.elapsed_s
        self._waited_s = before.waited_s
        self._steps, self._slices = before.steps, before.slices

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

    def read(self) -> Span:
        """What was counted so far."""
        return Span(
            elapsed_s=time.monotonic() - self._began,
            waited_s=self._waited_s,
            steps=self._steps,
            slices=self._slices,
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
