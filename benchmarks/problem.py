"""What all benchmarks share: one head-sized problem with known line integrals, and how time is taken."""

from __future__ import annotations

import importlib.metadata
import math
import platform
import time
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import numpy as np
import torch

from quietpet.acquisition.measurement import Measurement
from quietpet.acquisition.model import AcquisitionModel
from quietpet.acquisition.psf import GaussianPSF
from quietpet.geometry.grid import ImageGrid, mmr_grid
from quietpet.geometry.scanner import ScannerGeometry, siemens_mmr
from quietpet.phantom.ellipses import (
    HEAD_ACTIVITY,
    HEAD_MU_PER_CM,
    ParallelBins,
    line_integrals,
    rasterise,
)
from quietpet.projection.protocol import Projector
from quietpet.recon.osem import osem
from quietpet.seeds import numpy_rng
from quietpet.units import MM_PER_CM

Key = TypeVar("Key", bound=Hashable)

SCANNER: ScannerGeometry = siemens_mmr()
GRID: ImageGrid = mmr_grid(128)
COUNTS = 8e7  # of one slice at the standard dose: 1e10 over 127 slices


@dataclass(frozen=True, kw_only=True)
class Protocol:
    """How a slice is reconstructed."""

    iterations: int
    subsets: int
    psf_fwhm_mm: float

    def __str__(self) -> str:
        return f"OSEM {self.iterations} x {self.subsets}, PSF {self.psf_fwhm_mm} mm"


STANDARD = Protocol(iterations=15, subsets=10, psf_fwhm_mm=2.5)
LOW = Protocol(iterations=10, subsets=14, psf_fwhm_mm=4.0)


def relative_error(projector: Projector, bins: ParallelBins) -> float:
    """||P x - analytic|| / ||analytic|| of the head on the projector's own bins."""
    head = torch.from_numpy(rasterise(HEAD_ACTIVITY, GRID, samples=17))
    found = projector.forward(head[None])[0].numpy() * GRID.pixel_mm
    expected = line_integrals(HEAD_ACTIVITY, bins)
    return float(np.linalg.norm(found - expected) / np.linalg.norm(expected))


def reconstruction(
    projector: Projector, bins: ParallelBins, protocol: Protocol, batch: int
) -> Callable[[], torch.Tensor]:
    """A call that reconstructs ``batch`` slices of Poisson data; projector and subsets are ready."""
    data = measurement(projector, bins, psf_fwhm_mm=protocol.psf_fwhm_mm, batch=batch)

    def run(iterations: int = protocol.iterations) -> torch.Tensor:
        return osem(data.prompts, data.model, iterations=iterations, subsets=protocol.subsets)

    run(iterations=1)
    return run


def measurement(
    projector: Projector, bins: ParallelBins, *, psf_fwhm_mm: float, batch: int
) -> Measurement:
    """Poisson data of ``batch`` slices of one head; ``psf_fwhm_mm`` is that of their model."""
    attenuation = np.exp(-line_integrals(HEAD_MU_PER_CM, bins) / MM_PER_CM)
    expected = attenuation * line_integrals(HEAD_ACTIVITY, bins)
    per_activity = COUNTS / expected.sum()
    factors = GRID.pixel_mm * per_activity * attenuation
    measured = torch.empty((batch, *expected.shape))
    for row, slice_prompts in enumerate(measured):
        rng = numpy_rng(0, "benchmark", row)
        slice_prompts[:] = torch.from_numpy(rng.poisson(per_activity * expected))
    model = AcquisitionModel(
        projector=projector,
        psf=GaussianPSF(fwhm_mm=psf_fwhm_mm, pixel_mm=GRID.pixel_mm, image_shape=projector.image_shape),
        # A copy for every slice: attenuation differs from slice to slice.
        multiplicative=torch.tensor(factors, dtype=torch.float32).repeat(batch, 1, 1),
    )
    return Measurement(prompts=measured, model=model)


def least_cpu_s(calls: dict[Key, Callable[[], object]], *, repeats: int) -> dict[Key, float]:
    """Least CPU seconds of each call in ``repeats`` rounds; taking turns, all meet the same load."""
    least = dict.fromkeys(calls, math.inf)
    for _ in range(repeats):
        for name, call in calls.items():
            began = time.process_time()
            call()
            least[name] = min(least[name], time.process_time() - began)
    return least


def read_bandwidth_gb_s(n_bytes: int, *, repeats: int = 7) -> float:
    """What one core reads per second in the dot product of two arrays, together ``n_bytes`` large."""
    first, second = (np.ones(n_bytes // 8, np.float32) for _ in range(2))
    rounds = max(1, (1 << 28) // n_bytes)
    least = math.inf
    for _ in range(repeats):
        began = time.process_time()
        for _ in range(rounds):
            np.dot(first, second)
        least = min(least, time.process_time() - began)
    return rounds * n_bytes / least / 1e9


def conditions(*packages: str) -> str:
    """Processor, system and versions, in one line."""
    processor = platform.processor() or platform.machine()
    information = Path("/proc/cpuinfo")
    if information.exists():
        models = [line for line in information.read_text().splitlines() if line.startswith("model name")]
        processor = models[0].partition(":")[2].strip() if models else processor
    versions = [f"Python {platform.python_version()}"]
    for package in packages:
        try:
            versions.append(f"{package} {importlib.metadata.version(package)}")
        except importlib.metadata.PackageNotFoundError:
            continue
    return f"{processor}, one core; {platform.system()}; {', '.join(versions)}"
