"""What all benchmarks share: one head-sized problem with known line integrals, and how time is taken."""

from __future__ import annotations

import importlib.metadata
import math
import platform
import time
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import numpy as np
import torch

from quietpet.acquisition.model import AcquisitionModel
from quietpet.acquisition.psf import GaussianPSF
from quietpet.geometry.grid import ImageGrid, mmr_grid
from quietpet.geometry.scanner import ScannerGeometry, siemens_mmr
from quietpet.projection.protocol import Projector
from quietpet.recon.osem import osem
from quietpet.seeds import numpy_rng

Key = TypeVar("Key", bound=Hashable)

SCANNER: ScannerGeometry = siemens_mmr()
GRID: ImageGrid = mmr_grid(128)
COUNTS = 8e7  # of one slice at the standard dose: 1e10 over 127 slices
MU_PER_MM = 0.0096


@dataclass(frozen=True, kw_only=True)
class Ellipse:
    """A uniform ellipse; x to the right and y downwards in mm from the scanner axis."""

    x_mm: float
    y_mm: float
    half_x_mm: float
    half_y_mm: float
    turned_rad: float
    value: float


HEAD = (
    Ellipse(x_mm=0, y_mm=4, half_x_mm=76, half_y_mm=98, turned_rad=0.0, value=1.0),
    Ellipse(x_mm=0, y_mm=4, half_x_mm=68, half_y_mm=90, turned_rad=0.0, value=1.5),
    Ellipse(x_mm=-22, y_mm=0, half_x_mm=14, half_y_mm=36, turned_rad=0.3, value=-1.5),
    Ellipse(x_mm=22, y_mm=0, half_x_mm=12, half_y_mm=32, turned_rad=-0.3, value=-1.5),
    Ellipse(x_mm=5, y_mm=48, half_x_mm=22, half_y_mm=16, turned_rad=0.1, value=2.0),
    Ellipse(x_mm=-30, y_mm=-52, half_x_mm=7, half_y_mm=7, turned_rad=0.0, value=3.0),
)
"""Scalp and skull, brain, two ventricles, and two hot regions."""


@dataclass(frozen=True, kw_only=True)
class Bins:
    """Parallel bins of an engine: angles of the views, centres and widths of the bins."""

    angles_rad: np.ndarray
    offsets_mm: np.ndarray
    widths_mm: np.ndarray


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


def line_integrals_mm(bins: Bins, ellipses: Sequence[Ellipse] = HEAD) -> np.ndarray:
    """Line integrals averaged over the width of each bin, in closed form: (view, bin)."""
    total = np.zeros((bins.angles_rad.size, bins.offsets_mm.size))
    for ellipse in ellipses:
        angle = bins.angles_rad[:, None]
        squared = (ellipse.half_x_mm * np.cos(angle - ellipse.turned_rad)) ** 2 + (
            ellipse.half_y_mm * np.sin(angle - ellipse.turned_rad)
        ) ** 2  # of half the shadow that the ellipse throws
        centre = ellipse.x_mm * np.cos(angle) + ellipse.y_mm * np.sin(angle)
        lower = bins.offsets_mm - bins.widths_mm / 2 - centre
        upper = bins.offsets_mm + bins.widths_mm / 2 - centre
        area = _half_chord_area(upper, squared) - _half_chord_area(lower, squared)
        scale = 2 * ellipse.value * ellipse.half_x_mm * ellipse.half_y_mm
        total += scale * area / squared / bins.widths_mm
    return total


def _half_chord_area(distance: np.ndarray, squared_radius: np.ndarray) -> np.ndarray:
    """Antiderivative of sqrt(r^2 - t^2), constant outside (-r, r)."""
    radius = np.sqrt(squared_radius)
    t = np.clip(distance, -radius, radius)
    half_chord = np.sqrt(np.maximum(squared_radius - t**2, 0))
    return (t * half_chord + squared_radius * np.arcsin(t / radius)) / 2


def raster(ellipses: Sequence[Ellipse] = HEAD, *, grid: ImageGrid = GRID, finer: int = 16) -> np.ndarray:
    """The ellipses averaged over each pixel, float32, (y, x)."""
    within_pixel = ((np.arange(finer) + 0.5) / finer - 0.5) * grid.pixel_mm
    axis_mm = (grid.axis_mm[:, None] + within_pixel).ravel()
    image = np.zeros((axis_mm.size, axis_mm.size))
    for ellipse in ellipses:
        x, y = axis_mm[None, :] - ellipse.x_mm, axis_mm[:, None] - ellipse.y_mm
        cosine, sine = math.cos(ellipse.turned_rad), math.sin(ellipse.turned_rad)
        along, across = x * cosine + y * sine, y * cosine - x * sine
        inside = (along / ellipse.half_x_mm) ** 2 + (across / ellipse.half_y_mm) ** 2 <= 1
        image += ellipse.value * inside
    blocks = image.reshape(grid.n_pixels, finer, grid.n_pixels, finer)
    return blocks.mean(axis=(1, 3)).astype(np.float32)


def relative_error(projector: Projector, bins: Bins, *, grid: ImageGrid = GRID) -> float:
    """||P x - analytic|| / ||analytic|| of the head on the projector's own bins."""
    found = projector.forward(torch.from_numpy(raster(grid=grid))[None])[0].numpy() * grid.pixel_mm
    expected = line_integrals_mm(bins)
    return float(np.linalg.norm(found - expected) / np.linalg.norm(expected))


def reconstruction(
    projector: Projector, bins: Bins, protocol: Protocol, batch: int
) -> Callable[[], torch.Tensor]:
    """A call that reconstructs ``batch`` slices of Poisson data; projector and subsets are ready."""
    head = line_integrals_mm(bins)
    outline = line_integrals_mm(bins, HEAD[:1])
    attenuation = np.exp(-MU_PER_MM * outline)
    expected = attenuation * head
    per_activity = COUNTS / expected.sum()
    factors = GRID.pixel_mm * per_activity * attenuation
    measured = torch.empty((batch, *expected.shape))
    for row, slice_prompts in enumerate(measured):
        rng = numpy_rng(0, "benchmark", row)
        slice_prompts[:] = torch.from_numpy(rng.poisson(per_activity * expected))
    model = AcquisitionModel(
        projector=projector,
        psf=GaussianPSF(
            fwhm_mm=protocol.psf_fwhm_mm, pixel_mm=GRID.pixel_mm, image_shape=projector.image_shape
        ),
        # A copy for every slice: attenuation differs from slice to slice.
        multiplicative=torch.tensor(factors, dtype=torch.float32).repeat(batch, 1, 1),
    )

    def run(iterations: int = protocol.iterations) -> torch.Tensor:
        return osem(measured, model, iterations=iterations, subsets=protocol.subsets)

    run(iterations=1)
    return run


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
