"""Prompts that are no trues: scatter, randoms, and the estimate of randoms that a scan has."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from quietpet.geometry.scanner import ScannerGeometry
from quietpet.units import sigma_from_fwhm


def scatter_kernel(scanner: ScannerGeometry, *, fwhm_mm: float) -> np.ndarray:
    """Matrix (bin, bin) by which projections (..., bin) are multiplied to be blurred, float32.

    A Gaussian in the distance from the axis, which bins sample unevenly. Scatter as a broad convolution
    of the projection: Bergstrom et al., J Comput Assist Tomogr 7:42 (1983); Bailey & Meikle, Phys Med
    Biol 39:411 (1994).
    """
    distance_mm = scanner.bin_offsets_mm[:, None] - scanner.bin_offsets_mm
    sigma_mm = sigma_from_fwhm(fwhm_mm)
    density_per_mm = np.exp(-0.5 * (distance_mm / sigma_mm) ** 2) / (np.sqrt(2 * np.pi) * sigma_mm)
    return (scanner.bin_widths_mm[:, None] * density_per_mm).astype(np.float32)


def odds(fraction: float) -> float:
    """Part / rest, of a whole whose part is ``fraction``: scatter per true, randoms per coincidence."""
    return fraction / (1 - fraction)


def randoms_per_coincidence(
    randoms_fraction: float, *, activity: float = 1.0, stated_at: float = 1.0
) -> float:
    """Randoms / (trues + scatter) at an ``activity``, of which the fraction was ``stated_at`` another.

    Coincidences follow the activity and randoms, pairs of unrelated photons, its square.
    """
    return odds(randoms_fraction) * activity / stated_at


def expected_scatter(
    total_trues: float,
    arriving: np.ndarray,
    normalisation: np.ndarray,
    kernel: np.ndarray,
    *,
    scatter_fraction: float,
    within: np.ndarray,
) -> np.ndarray:
    """Expected scatter (view, bin) of the pairs that arrive, (view, bin), blurred by the ``kernel``.

    In the lines ``within`` it is scatter / (trues + scatter) = ``scatter_fraction`` of ``total_trues``.
    """
    shape = normalisation * (arriving @ kernel)
    return scaled_to(odds(scatter_fraction) * total_trues, shape, within=within)


def scaled_to(total: float, shape: np.ndarray, *, within: np.ndarray) -> np.ndarray:
    """The sinogram ``shape`` (view, bin), scaled so that its bins ``within`` sum to ``total``.

    Raises ValueError when it is 0 in all of them.
    """
    here = shape.sum(where=within, dtype=np.float64)
    if here <= 0:
        raise ValueError("no line of response that meets activity sees anything of this sinogram")
    return shape * float(total / here)


def estimated_randoms(delayed: np.ndarray, normalisation: np.ndarray, *, window: int) -> np.ndarray:
    """Expected randoms (slice, view, bin) from counts in the delayed window, float32.

    Before detection randoms vary slowly over a sinogram: their level is the ratio of delayed counts to
    ``normalisation`` (view, bin) in a square of ``window`` views and bins. A window of 1 gives the
    counts themselves.
    """
    seen = _window_sums(normalisation, window)
    per_count = np.divide(normalisation, seen, out=np.zeros_like(seen), where=normalisation > 0)
    estimate = np.empty(delayed.shape, dtype=np.float32)
    for row, counts in enumerate(delayed):
        estimate[row] = _window_sums(counts, window) * per_count
    return estimate


def _window_sums(sinogram: np.ndarray, window: int) -> np.ndarray:
    """Sums of (view, bin) over the ``window`` views and bins around each; fewer at the edges."""
    sums = sinogram.astype(np.float64)
    for axis, length in enumerate(sinogram.shape):
        first = np.maximum(np.arange(length) - window // 2, 0)
        end = np.minimum(np.arange(length) + (window + 1) // 2, length)
        upto = np.insert(np.cumsum(sums, axis=axis), 0, 0.0, axis=axis)
        sums = upto.take(end, axis=axis) - upto.take(first, axis=axis)
    return sums


def modelled_background(
    measured: Mapping[str, np.ndarray], normalisation: np.ndarray, *, window: int
) -> dict[str, np.ndarray]:
    """The array ``background`` (slice, view, bin) that a model of the ``measured`` arrays needs.

    It is the expected ``scatter``, taken as known, and randoms as estimated from ``delayed``; nothing
    where there are neither.
    """
    parts = []
    if "scatter" in measured:
        parts.append(measured["scatter"])
    if "delayed" in measured:
        parts.append(estimated_randoms(measured["delayed"], normalisation, window=window))
    return {"background": sum(parts[1:], start=parts[0])} if parts else {}
