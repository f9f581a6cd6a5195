"""A made-up head slice of ellipses, whose line integrals are known in closed form."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from quietpet.geometry.grid import ImageGrid
from quietpet.geometry.scanner import ScannerGeometry


@dataclass(frozen=True, kw_only=True)
class Ellipse:
    """A uniform ellipse; where several overlap, their values add up.

    ``centre_mm`` and ``semi_axes_mm`` are (x, y); the axes are turned from +x towards +y.
    """

    value: float
    centre_mm: tuple[float, float]
    semi_axes_mm: tuple[float, float]
    angle_rad: float = 0.0


@dataclass(frozen=True, kw_only=True)
class ParallelBins:
    """Where a sinogram is sampled: angles of its views, centres and widths of its bins."""

    angles_rad: np.ndarray
    offsets_mm: np.ndarray
    widths_mm: np.ndarray

    @classmethod
    def of(cls, scanner: ScannerGeometry) -> ParallelBins:
        """The direct-plane sinograms of a scanner."""
        return cls(
            angles_rad=scanner.view_angles_rad,
            offsets_mm=scanner.bin_offsets_mm,
            widths_mm=scanner.bin_widths_mm,
        )


def _nested(values: Sequence[float]) -> tuple[Ellipse, ...]:
    """Scalp, skull, cortex and white matter inside one another, with these values."""
    semi_axes_mm = ((78.0, 98.0), (73.0, 93.0), (67.0, 87.0), (50.0, 70.0))
    steps = np.diff(values, prepend=0.0)
    return tuple(
        Ellipse(value=float(step), centre_mm=(2.0, -3.0), semi_axes_mm=axes_mm, angle_rad=0.1)
        for step, axes_mm in zip(steps, semi_axes_mm, strict=True)
    )


HEAD_ACTIVITY = (
    *_nested((16.0, 8.0, 96.0, 32.0)),
    Ellipse(value=-24.0, centre_mm=(-14.0, 5.0), semi_axes_mm=(8.0, 22.0), angle_rad=0.3),
    Ellipse(value=-24.0, centre_mm=(18.0, 5.0), semi_axes_mm=(8.0, 22.0), angle_rad=-0.1),
    Ellipse(value=64.0, centre_mm=(-28.0, -20.0), semi_axes_mm=(9.0, 6.0), angle_rad=0.5),
    Ellipse(value=64.0, centre_mm=(32.0, -20.0), semi_axes_mm=(9.0, 6.0), angle_rad=-0.3),
    Ellipse(value=112.0, centre_mm=(12.0, 38.0), semi_axes_mm=(7.0, 7.0)),
)
"""FDG-like relative activity: cortex, white matter, ventricles, basal ganglia, a hot lesion."""

HEAD_MU_PER_CM = _nested((0.0975, 0.13, 0.0975, 0.0975))
"""Attenuation at 511 keV: soft tissue and bone."""


def rasterise(ellipses: Sequence[Ellipse], grid: ImageGrid, *, samples: int = 9) -> np.ndarray:
    """Mean of every pixel over ``samples`` x ``samples`` points, float32, (y, x)."""
    within = (np.arange(samples) - (samples - 1) / 2) / samples * grid.pixel_mm
    fine_mm = (grid.axis_mm[:, None] + within).ravel()
    image = np.zeros((fine_mm.size, fine_mm.size), np.float32)
    for ellipse in ellipses:
        x, y = fine_mm[None, :] - ellipse.centre_mm[0], fine_mm[:, None] - ellipse.centre_mm[1]
        cosine, sine = np.cos(ellipse.angle_rad), np.sin(ellipse.angle_rad)
        along = (x * cosine + y * sine) / ellipse.semi_axes_mm[0]
        across = (y * cosine - x * sine) / ellipse.semi_axes_mm[1]
        image += np.float32(ellipse.value) * (along**2 + across**2 <= 1)
    n = grid.n_pixels
    return image.reshape(n, samples, n, samples).mean(axis=(1, 3))


def line_integrals(ellipses: Sequence[Ellipse], bins: ParallelBins) -> np.ndarray:
    """Closed-form integrals in value x mm, averaged over the width of each bin; (view, bin), float64.

    The chord of an ellipse with semi-axes a, b at distance t from its centre is 2 a b sqrt(h^2 - t^2) /
    h^2, where h^2 = a^2 cos^2 + b^2 sin^2 of the angle between the line's normal and axis a (Kak &
    Slaney, Principles of Computerized Tomographic Imaging, section 3.1).
    """
    angle = bins.angles_rad[:, None]
    edges_mm = bins.offsets_mm + np.array([[-0.5], [0.5]]) * bins.widths_mm
    integrals = np.zeros((bins.angles_rad.size, bins.offsets_mm.size))
    for ellipse in ellipses:
        (x, y), (a, b) = ellipse.centre_mm, ellipse.semi_axes_mm
        turned = angle - ellipse.angle_rad
        half_width_mm = np.hypot(a * np.cos(turned), b * np.sin(turned))
        centre_mm = x * np.cos(angle) + y * np.sin(angle)
        below, upto = (_half_disc_area(edge - centre_mm, half_width_mm) for edge in edges_mm)
        integrals += ellipse.value * 2 * a * b * (upto - below) / half_width_mm**2 / bins.widths_mm
    return integrals


def _half_disc_area(distance: np.ndarray, radius: np.ndarray) -> np.ndarray:
    """Antiderivative of sqrt(radius^2 - distance^2), constant outside the disc."""
    t = np.clip(distance, -radius, radius)
    return (t * np.sqrt(radius**2 - t**2) + radius**2 * np.arcsin(t / radius)) / 2
